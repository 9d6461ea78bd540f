"""The context managers made from generators do what the standard ones do."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest

from agentq_cli.base import context


@pytest.mark.parametrize("module", [context, contextlib])
@pytest.mark.parametrize("raised", [None, KeyError("a"), StopIteration("b"), KeyboardInterrupt()])
@pytest.mark.parametrize("swallow", [False, True])
def test_the_end_of_the_body_reaches_the_generator_and_comes_back(
    module: ModuleType, raised: BaseException | None, swallow: bool
) -> None:
    seen: list[BaseException | None] = []

    def around() -> Iterator[int]:
        try:
            yield 1
            seen.append(None)
        except BaseException as error:
            seen.append(error)
            if not swallow:
                raise

    make: Callable[[], contextlib.AbstractContextManager[int]] = module.contextmanager(around)
    came: BaseException | None = None
    try:
        with make() as value:
            assert value == 1
            if raised is not None:
                raise raised
    except BaseException as error:
        came = error
    assert seen == [raised]
    assert came is (None if swallow else raised)


@pytest.mark.parametrize("module", [context, contextlib])
def test_another_error_of_the_generator_replaces_that_of_the_body(module: ModuleType) -> None:
    def around() -> Iterator[None]:
        try:
            yield
        except KeyError as error:
            raise ValueError("translated") from error

    with pytest.raises(ValueError, match="translated") as caught, module.contextmanager(around)():
        raise KeyError("a")
    assert isinstance(caught.value.__cause__, KeyError)


def test_suppress_ends_only_the_named_errors() -> None:
    with context.suppress(KeyError, OSError):
        raise FileNotFoundError("x")
    with pytest.raises(ValueError, match="y"), context.suppress(KeyError):
        raise ValueError("y")
