"""Our dataclasses and named tuples against the standard ones, declared alike."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import typing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentq_cli.base import dataclass as ours


def declared(dataclass: Any, field: Any) -> Any:
    @dataclass(frozen=True, slots=True)
    class Point:
        x: int
        y: int = 2
        seen: list[int] = field(default_factory=list, compare=False, repr=False)

        def __post_init__(self) -> None:
            if self.x == 13:
                raise ValueError("unlucky")

        @property
        def both(self) -> int:
            return self.x + self.y

    return Point


OURS = declared(ours.dataclass, ours.field)
THEIRS = declared(dataclasses.dataclass, dataclasses.field)

NAMES = ["x", "y", "seen", "z"]
values = st.integers(0, 14)
calls = st.tuples(st.lists(values, max_size=4), st.dictionaries(st.sampled_from(NAMES), values))


def made(cls: Any, call: tuple[list[Any], dict[str, Any]]) -> Any:
    """The value, or the kind of error."""
    try:
        return cls(*call[0], **call[1])
    except (TypeError, ValueError) as error:
        return type(error)


def told(value: Any) -> object:
    return value if isinstance(value, type) else (value.x, value.y, value.seen, value.both, repr(value).split(".")[-1])


@given(calls, calls)
def test_a_dataclass_takes_what_the_standard_one_takes(one: Any, other: Any) -> None:
    pairs = [(made(OURS, call), made(THEIRS, call)) for call in (one, other)]
    for mine, theirs in pairs:
        assert told(mine) == told(theirs)
    if not any(isinstance(mine, type) for mine, _ in pairs):
        (mine, theirs), (my_other, their_other) = pairs
        assert (mine == my_other) is (theirs == their_other)
        assert mine != theirs
        if mine == my_other:
            assert hash(mine) == hash(my_other)
        assert ours.asdict(mine) == dataclasses.asdict(theirs)
        changed = {"x": 1, "y": 5}
        assert told(ours.replace(mine, **changed)) == told(dataclasses.replace(theirs, **changed))
        assert copy.deepcopy(mine) == mine


def test_a_frozen_one_stays_as_it_is() -> None:
    point = OURS(1)
    for change in (lambda: setattr(point, "x", 2), lambda: delattr(point, "x"), lambda: setattr(point, "new", 2)):
        with pytest.raises(AttributeError):
            change()
    assert not hasattr(point, "__dict__")


def test_one_that_is_not_frozen_changes_and_has_no_hash() -> None:
    @ours.dataclass(slots=True)
    class Count:
        n: int = 0

    count = Count()
    count.n += 1
    assert count == Count(1)
    with pytest.raises(TypeError):
        hash(count)


def test_each_default_of_a_factory_is_a_new_one() -> None:
    assert OURS(1).seen is not OURS(1).seen


def test_the_standard_functions_take_ours() -> None:
    assert [each.name for each in dataclasses.fields(OURS)] == ["x", "y", "seen"]
    assert dataclasses.replace(OURS(1), y=7) == OURS(1, 7)
    assert dataclasses.asdict(OURS(1)) == {"x": 1, "y": 2, "seen": []}


def test_dataclasses_within_others_become_dictionaries() -> None:
    inner = OURS(1)
    outer = OURS(0, seen=[inner, (inner, {"k": inner}), Pair(1, inner)])  # type: ignore[call-arg]
    plain = {"x": 1, "y": 2, "seen": []}
    assert ours.asdict(outer)["seen"] == [plain, (plain, {"k": plain}), Pair(1, plain)]


class Pair(ours.NamedTuple):
    left: Any
    right: Any = 2

    def swapped(self) -> Pair:
        return self._replace(left=self.right, right=self.left)


class Standard(typing.NamedTuple):
    left: Any
    right: Any = 2


@given(st.lists(values, max_size=3), st.dictionaries(st.sampled_from(["left", "right", "up"]), values))
def test_a_named_tuple_takes_what_the_standard_one_takes(places: list[int], names: dict[str, int]) -> None:
    mine, theirs = made(Pair, (places, names)), made(Standard, (places, names))
    if isinstance(theirs, type):
        assert mine is theirs
        return
    assert tuple(mine) == tuple(theirs)
    assert (mine.left, mine.right) == (theirs.left, theirs.right)
    assert repr(mine) == repr(theirs).replace("Standard", "Pair")
    assert mine._asdict() == theirs._asdict()
    assert pickle.loads(pickle.dumps(mine)) == mine == copy.copy(mine)
    assert mine.swapped().swapped() == mine
    assert Pair._make(mine) == mine
    assert not hasattr(mine, "__dict__")


def test_what_ours_would_get_wrong_is_refused_when_the_class_is_made() -> None:
    """A base class would be lost, a default that can change would be shared, what is no field would become one."""

    class Base:
        pass

    with pytest.raises(TypeError, match="base class"):

        @ours.dataclass(slots=True)
        class Derived(Base):
            x: int = 1

    with pytest.raises(TypeError, match="base class"):

        @ours.dataclass(slots=True)
        class Again(OURS):  # type: ignore[misc, valid-type]
            z: int = 1

    for default in ([], {}, set(), bytearray(), ours.field(default=[])):
        with pytest.raises(ValueError, match="'x' has a default that can change"):

            @ours.dataclass(slots=True)
            class Shared:
                x: Any = default

    with pytest.raises(TypeError, match="not a field"):

        @ours.dataclass(slots=True)
        class Counted:
            count: typing.ClassVar[int] = 0

    with pytest.raises(TypeError, match="without default"):

        @ours.dataclass(slots=True)
        class Unordered:
            x: int = 1
            y: int


def test_so_is_what_a_named_tuple_would() -> None:
    with pytest.raises(TypeError, match="base class"):

        class More(Pair):
            up: int = 3

    with pytest.raises(TypeError, match="base class"):

        class Mixed(ours.NamedTuple, typing.Generic[typing.TypeVar("T")]):  # type: ignore[misc]
            left: int

    with pytest.raises(ValueError, match="'left' has a default that can change"):

        class Shared(ours.NamedTuple):
            left: list[int] = []  # noqa: RUF012

    with pytest.raises(TypeError, match="without default"):

        class Unordered(ours.NamedTuple):
            left: int = 1
            right: int  # type: ignore[misc]
