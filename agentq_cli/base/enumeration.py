"""Enumerations of words, at a fraction of what `enum` costs a process that lives for milliseconds.

As `enum.StrEnum` for as much as is used here: members are strings with a name and a value, each there once, found by
its value and listed in order. Two members of one value are refused.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from enum import StrEnum as StrEnum
else:

    class Words(type):
        """Makes the class of an enumeration from its names that stand for strings."""

        def __new__(cls, name, bases, namespace):
            words = {each: word for each, word in namespace.items() if type(word) is str and each[:1] != "_"}
            rest = {each: value for each, value in namespace.items() if each not in words}
            made = type.__new__(cls, name, bases, rest)
            made._members = {}
            for each, word in words.items():
                if word in made._members:
                    raise TypeError(f"{name}: {each} has the value of another member")
                member = made._members[word] = str.__new__(made, word)
                member.name, member.value = each, word
                setattr(made, each, member)
            return made

        def __call__(cls, value):
            try:
                return cls._members[value]
            except (KeyError, TypeError):
                raise ValueError(f"{value!r} is not a valid {cls.__name__}") from None

        def __contains__(cls, value):
            return isinstance(value, str) and value in cls._members

        def __iter__(cls):
            return iter(cls._members.values())

        def __len__(cls):
            return len(cls._members)

    class StrEnum(str, metaclass=Words):
        """As that of `enum`."""

        def __repr__(self):
            return f"<{type(self).__name__}.{self.name}: {self.value!r}>"

        def __reduce__(self):
            return type(self), (self.value,)
