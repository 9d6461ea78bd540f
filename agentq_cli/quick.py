"""Reads the plain spellings of a command line without the parser, which costs more to import than most commands to run.

It knows what `spellings` says, generated from the declarations that the parser has. Whatever is not certain is left to
the parser: abbreviations, clusters of short options, numbers in unusual writing, help, and every error.
"""

from __future__ import annotations

from agentq_cli.spellings import SPELLINGS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    Given = dict[str, str | int | float | bool | list[str]]

MOST_DIGITS = 15
"""Of a number that is read here."""


def read(words: Sequence[str]) -> tuple[str, Given, Given] | None:
    """The command, what its function is given, and the shared options; None where the parser is to be asked.

    The command is empty where only the version is asked for. What is not given is not in the dictionaries.
    """
    name = ""
    options, places = SPELLINGS[name]
    given: Given = {}
    shared: Given = {}
    plain: list[str] = []
    before = 0  # words that stand before --exec or --
    rest = iter(words)
    for word in rest:
        if word[:1] != "-" or word == "-":
            if name:
                plain.append(word)
            elif word and word in SPELLINGS and "version" not in shared:
                name = word
                options, places = SPELLINGS[name]
            else:
                return None
        elif word == "--":
            before = len(plain)
            plain += rest
        else:
            long, equals, value = word.partition("=")
            option = options.get(long)
            if option is None or (equals and long[:2] != "--"):
                return None
            parameter, kind, low, high, is_shared = option
            into = shared if is_shared else given
            if kind == "flag":
                if equals:
                    return None
                if parameter == "exec_":
                    before = len(plain)
                into[parameter] = True
                continue
            if not equals:
                following = next(rest, None)
                if following is None:
                    return None
                value = following
            if kind == "text":
                into[parameter] = value
            elif kind == "texts":
                into.setdefault(parameter, []).append(value)  # type: ignore[union-attr]
            else:
                number = _number(kind, value)
                if number is None or (low is not None and number < low) or (high is not None and number > high):
                    return None
                into[parameter] = number
    if not name:
        return (name, given, shared) if "version" in shared else None
    if before and "exec_" in given:
        return None  # a prompt and a command at once, which the parser refuses
    return (name, given, shared) if _placed(plain, places, given) else None


def _number(kind: str, text: str) -> int | float | None:
    digits = text.removeprefix("-")
    if not digits.isascii() or len(digits) > MOST_DIGITS:
        return None
    if kind == "whole":
        return int(text) if digits.isdigit() else None
    return float(text) if digits.replace(".", "", 1).isdigit() else None


def _placed(words: list[str], places: Sequence[tuple[str, str]], given: Given) -> bool:
    """Whether the words are as many as there are places for; they are put into `given`."""
    at = 0
    for parameter, kind in places:
        if kind == "many":
            if words[at:]:
                given[parameter] = words[at:]
            return True
        if at < len(words):
            given[parameter] = words[at]
            at += 1
        elif kind == "one":
            return False
    return at == len(words)
