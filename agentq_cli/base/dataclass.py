"""Dataclasses and named tuples, at a thirtieth of the time that the standard modules take in a process that lives for
milliseconds.

They follow the rules of the standard modules as far as they are used here: fields with defaults, `frozen`, equality,
hash, `repr`, `__post_init__`, `replace`, `asdict`; always with slots. Nothing is compiled when a class is made, and
neither `inspect` nor `typing` is imported. The functions of the standard `dataclasses` work on these classes too.

What the standard modules would accept and these would get wrong is rejected when the class is made.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dataclasses import asdict as asdict
    from dataclasses import dataclass as dataclass
    from dataclasses import field as field
    from dataclasses import replace as replace
    from typing import NamedTuple as NamedTuple
else:
    from _collections import _tuplegetter
    from _operator import attrgetter

    MISSING = object()

    class field:  # noqa: N801
        """The properties of a field beyond its type."""

        __slots__ = ("compare", "default", "default_factory", "repr", "required")

        def __init__(self, *, default=MISSING, default_factory=None, compare=True, repr=True):
            self.default = default
            self.default_factory = default_factory
            self.compare = compare
            self.repr = repr
            self.required = default is MISSING and default_factory is None

    REQUIRED = field()

    def _fields_of(described, namespace):
        """The fields of a class by name, taken out of its namespace.

        Rejects a base class, an annotation that is not a field, a default that all instances would share and change,
        and a field without default behind one that has one.
        """
        owner = described.__name__
        if described.__bases__ != (object,):
            raise TypeError(f"{owner}: its base class would be lost; a dataclass here has none")
        fields = {}
        optional = False
        for name, kind in namespace.get("__annotations__", {}).items():
            if "Var" in str(kind) and ("ClassVar" in str(kind) or "InitVar" in str(kind)):
                raise TypeError(f"{owner}: '{name}' is not a field; write it without an annotation")
            each = REQUIRED
            if name in namespace:
                given = namespace.pop(name)
                each = given if type(given) is field else field(default=given)
                _immutable(owner, name, each.default)
            if each.required:
                if optional:
                    raise TypeError(f"{owner}: a field without default follows one that has one")
            else:
                optional = True
            fields[name] = each
        return fields

    def _immutable(owner, name, default):
        if type(default).__hash__ is None:
            raise ValueError(f"{owner}: '{name}' has a default that can change; use default_factory")

    def dataclass(*, slots, frozen=False):
        """Recreate the class, with its annotated names as slots."""
        assert slots

        def made(described):
            namespace = dict(vars(described))
            fields = _fields_of(described, namespace)
            del namespace["__dict__"], namespace["__weakref__"]
            namespace |= FROZEN if frozen else CHANGING
            namespace["__slots__"] = namespace["__match_args__"] = tuple(fields)
            cls = type(described.__name__, (), namespace)
            cls.__qualname__ = described.__qualname__
            own = vars(cls)
            cls._fields = tuple([(name, own[name].__set__, each) for name, each in fields.items()])
            cls._checks = "__post_init__" in own
            cls._compared = attrgetter("__class__", *[name for name, each in fields.items() if each.compare])
            return cls

        return made

    def _init(self, /, *args, **kwargs):
        cls = type(self)
        fields = cls._fields
        for (_, store, _), value in zip(fields, args, strict=False):
            store(self, value)
        for name, store, each in fields[len(args) :]:
            if name in kwargs:
                store(self, kwargs.pop(name))
            elif each.default is not MISSING:
                store(self, each.default)
            elif each.default_factory is not None:
                store(self, each.default_factory())
            else:
                raise TypeError(f"{cls.__name__}: '{name}' is missing")
        if kwargs or len(args) > len(fields):
            raise TypeError(f"{cls.__name__}: {next(iter(kwargs), 'a value')!r} is one too many")
        if cls._checks:
            self.__post_init__()

    def _repr(self):
        shown = (f"{name}={getattr(self, name)!r}" for name, _, each in self._fields if each.repr)
        return f"{type(self).__qualname__}({', '.join(shown)})"

    def _eq(self, other):
        return self._compared(self) == self._compared(other) if type(self) is type(other) else NotImplemented

    def _hash(self):
        return hash(self._compared(self))

    def _frozen(self, name, *value):
        raise AttributeError(f"{type(self).__name__} is frozen: cannot change '{name}'")

    def _getstate(self):
        return {name: getattr(self, name) for name, _, _ in self._fields}

    def _setstate(self, state):
        for name, store, _ in self._fields:
            store(self, state[name])

    class StandardFields:
        """`__dataclass_fields__`, made when the standard module first reads it."""

        def __get__(self, instance, owner):
            import dataclasses

            def standard(each):
                given = {"compare": each.compare, "repr": each.repr}
                if each.default_factory is not None:
                    given["default_factory"] = each.default_factory
                elif each.default is not MISSING:
                    given["default"] = each.default
                return dataclasses.field(**given)

            fields = [(name, object, standard(each)) for name, _, each in owner._fields]
            owner.__dataclass_fields__ = dataclasses.make_dataclass(owner.__name__, fields).__dataclass_fields__
            return owner.__dataclass_fields__

    CHANGING = {
        "__init__": _init,
        "__repr__": _repr,
        "__eq__": _eq,
        "__hash__": None,
        "__getstate__": _getstate,
        "__setstate__": _setstate,
        "__dataclass_fields__": StandardFields(),
    }
    FROZEN = CHANGING | {"__hash__": _hash, "__setattr__": _frozen, "__delattr__": _frozen}

    def replace(value, /, **changes):
        """The same value with some fields changed."""
        cls = type(value)
        made = object.__new__(cls)
        for name, store, _ in cls._fields:
            store(made, changes.pop(name) if name in changes else getattr(value, name))
        if changes:
            raise TypeError(f"{cls.__name__}: {next(iter(changes))!r} is one too many")
        if cls._checks:
            made.__post_init__()
        return made

    def asdict(value):
        """The fields by name, with the dataclasses among them and in their lists, tuples and dictionaries converted
        likewise."""
        return {name: _plain(getattr(value, name)) for name in value.__slots__}

    def _plain(value):
        if hasattr(value, "_compared"):
            return asdict(value)
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return type(value)(*map(_plain, value))
        if isinstance(value, list | tuple):
            return type(value)(map(_plain, value))
        return {name: _plain(each) for name, each in value.items()} if isinstance(value, dict) else value

    class Named(type):
        """Makes the class of a named tuple from its annotated names."""

        def __new__(cls, name, bases, namespace):
            names = tuple(namespace.get("__annotations__", ()))
            if bases != (tuple,) and bases != (NamedTuple,):
                raise TypeError(f"{name}: a named tuple has no other base class here")
            defaults = namespace["_field_defaults"] = {each: namespace[each] for each in names if each in namespace}
            for each, default in defaults.items():
                _immutable(name, each, default)
            if tuple(defaults) != names[len(names) - len(defaults) :]:
                raise TypeError(f"{name}: a field without default follows one that has one")
            namespace |= {each: _tuplegetter(place, None) for place, each in enumerate(names)}
            namespace["_fields"] = namespace["__match_args__"] = names
            namespace["__slots__"] = ()
            return type.__new__(cls, name, bases, namespace)

    class NamedTuple(tuple, metaclass=Named):
        """As that of `typing`."""

        def __new__(cls, /, *args, **kwargs):
            names = cls._fields
            if len(args) != len(names):
                try:
                    rest = [kwargs.pop(n) if n in kwargs else cls._field_defaults[n] for n in names[len(args) :]]
                except KeyError as missing:
                    raise TypeError(f"{cls.__name__}: {missing} is missing") from None
                args = (*args, *rest)
            if kwargs or len(args) != len(names):
                raise TypeError(f"{cls.__name__}: {next(iter(kwargs), 'a value')!r} is one too many")
            return tuple.__new__(cls, args)

        def __repr__(self):
            shown = (f"{name}={value!r}" for name, value in zip(self._fields, self, strict=True))
            return f"{type(self).__name__}({', '.join(shown)})"

        def __getnewargs__(self):
            return tuple(self)

        def _asdict(self):
            return dict(zip(self._fields, self, strict=True))

        def _replace(self, /, **changes):
            made = tuple.__new__(type(self), map(changes.pop, self._fields, self))
            if changes:
                raise TypeError(f"{type(self).__name__}: {next(iter(changes))!r} is one too many")
            return made

        @classmethod
        def _make(cls, values):
            return cls(*values)
