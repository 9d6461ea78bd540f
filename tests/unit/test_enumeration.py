"""Our enumerations behave as those of the standard library in what is used of them."""

from __future__ import annotations

import copy
import enum
import json
import pickle

import pytest

from agentq_cli.base.enumeration import StrEnum


class Ours(StrEnum):
    """Of agentq."""

    ONE = "one"
    TWO = "two"

    @property
    def first(self) -> bool:
        """Whether it is the first one."""
        return self is Ours.ONE


class Standard(enum.StrEnum):
    """The same of the standard library."""

    ONE = "one"
    TWO = "two"

    @property
    def first(self) -> bool:
        """Whether it is the first one."""
        return self is Standard.ONE


@pytest.mark.parametrize("of", [Ours, Standard])
def test_members_are_strings_with_a_name_that_are_found_by_their_value(of: type[Ours]) -> None:
    one = of.ONE
    assert [each.name for each in of] == ["ONE", "TWO"]
    assert [each.value for each in of] == ["one", "two"]
    assert len(of) == 2 and one in of
    assert of("one") is one and of(one) is one
    assert one == "one" and hash(one) == hash("one") and isinstance(one, str) and isinstance(one, of)
    assert type(str(one)) is str and f"{one:>4}" == " one" and type(one.value) is str
    assert repr(one) == f"<{of.__name__}.ONE: 'one'>"
    assert one.first and not of.TWO.first
    assert json.dumps({one: one}) == '{"one": "one"}'
    assert copy.deepcopy(one) is one and copy.copy(one) is one and pickle.loads(pickle.dumps(one)) is one


@pytest.mark.parametrize("of", [Ours, Standard])
@pytest.mark.parametrize("value", ["ONE", "", None, 1, [], b"one"])
def test_what_is_no_value_is_refused(of: type[Ours], value: object) -> None:
    with pytest.raises(ValueError, match=f"is not a valid {of.__name__}"):
        of(value)  # type: ignore[arg-type]


def test_a_value_stands_for_one_member() -> None:
    with pytest.raises(TypeError, match="AGAIN has the value of another member"):
        type(StrEnum)("Twice", (StrEnum,), {"ONE": "one", "AGAIN": "one"})
