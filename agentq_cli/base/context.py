"""Context managers made from generators, without `contextlib`, whose import takes longer than reading a task.

They do what those of `contextlib` do as far as they are used here; one that is made from a generator is no decorator.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import closing as closing
    from contextlib import contextmanager as contextmanager
    from contextlib import suppress as suppress
else:

    def contextmanager(function):
        """A function that makes context managers, from a generator function that yields once."""

        def make(*args, **kwargs):
            return _Generated(function(*args, **kwargs))

        make.__name__, make.__doc__ = function.__name__, function.__doc__
        return make

    class _Generated:
        __slots__ = ("_generator",)

        def __init__(self, generator):
            self._generator = generator

        def __enter__(self):
            return next(self._generator)

        def __exit__(self, kind, error, trace):
            try:
                if error is None:
                    next(self._generator)
                else:
                    self._generator.throw(error)
            except StopIteration as stop:
                return stop is not error
            except BaseException as raised:
                # What was thrown in and came out again is raised by the `with`, with the traceback that it had. A
                # StopIteration thrown in comes out as the cause of a RuntimeError.
                if raised is error or (isinstance(error, StopIteration) and raised.__cause__ is error):
                    error.__traceback__ = trace
                    return False
                raise
            self._generator.close()
            raise RuntimeError("the generator of a context manager did not stop")

    class closing:  # noqa: N801
        """Closes what it is given."""

        __slots__ = ("_thing",)

        def __init__(self, thing):
            self._thing = thing

        def __enter__(self):
            return self._thing

        def __exit__(self, kind, error, trace):
            self._thing.close()

    class suppress:  # noqa: N801
        """Ends quietly what raises one of these exceptions."""

        __slots__ = ("_kinds",)

        def __init__(self, *kinds):
            self._kinds = kinds

        def __enter__(self):
            return None

        def __exit__(self, kind, error, trace):
            return isinstance(error, self._kinds)
