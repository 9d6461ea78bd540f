"""Reads plain command lines without the parser, whose import takes longer than most commands run.

It reads by the rows of `options.table`, as the parser does. Everything uncertain is left to the parser: abbreviations,
clusters of short options, unusually written numbers, help, and every error.
"""

from __future__ import annotations

from agentq_cli.options.table import ARGUMENTS, COMMANDS, EVERYWHERE, rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentq_cli.options.table import Row

    Given = dict[str, str | int | float | bool | list[str]]

MOST_DIGITS = 15
"""The most digits of a number that is read here."""


def read(words: Sequence[str]) -> tuple[str, Given, Given] | None:
    """The command, the values for its function, and the shared options; None if the parser has to read the words.

    The command is empty if none is named. Values that were not given are not in the dictionaries.
    """
    name = ""
    # Few options, and usually none, come before the command.
    options, places = _spelled(name) if "".join(words[:1])[:1] == "-" else ({}, [])
    given: Given = {}
    shared: Given = {}
    plain: list[str] = []
    before = 0  # words before --exec or --
    dashes = False
    rest = iter(words)
    for word in rest:
        if word[:1] != "-" or word == "-":
            if name:
                plain.append(word)
            elif word in COMMANDS and "version" not in shared:
                name = word
                options, places = _spelled(name)
            else:
                return None
        elif word == "--":
            before, dashes = len(plain), True
            plain += rest
        else:
            long, equals, value = word.partition("=")
            option = options.get(long)
            if option is None or (equals and long[:2] != "--"):
                return None
            into = shared if option.panel == EVERYWHERE else given
            if option.kind == "flag":
                if equals:
                    return None
                if option.reader == "command":
                    before = len(plain)
                into[option.name] = True
                continue
            if not equals:
                following = next(rest, None)
                if following is None or option.name == "exec":  # whose words are to be written out
                    return None
                value = following
            if option.kind == "text":
                into[option.name] = value
            elif option.kind == "texts":
                into.setdefault(option.name, []).append(value)  # type: ignore[union-attr]
            else:
                number = _number(option, value)
                if number is None:
                    return None
                into[option.name] = number
    if not name:
        return None if plain or dashes else (name, given, shared)
    if "--exec" in options and (before or (dashes and "exec" not in given and ("file" in given or "--" in plain))):
        return None  # words for the agent behind a prompt, or both a prompt and a command
    return (name, given, shared) if _placed(plain, places, given) else None


def _spelled(name: str) -> tuple[dict[str, Row], list[Row]]:
    """The options of a command by every spelling, and its arguments in their order."""
    options: dict[str, Row] = {}
    places: list[Row] = []
    for row in rows(name):
        if row.reader in ARGUMENTS:
            places.append(row)
        else:
            for spelling in row.spellings.split():
                options[spelling] = row
    return options, places


def _number(option: Row, text: str) -> int | float | None:
    digits = text.removeprefix("-")
    if not digits.isascii() or len(digits) > MOST_DIGITS:
        return None
    if option.kind == "number":
        return float(text) if digits.replace(".", "", 1).isdigit() else None
    return int(text) if digits.isdigit() and option.bounds(int(text)) else None


def _placed(words: list[str], places: Sequence[Row], given: Given) -> bool:
    """Whether the number of words fits the arguments; puts the words into `given`."""
    at = 0
    for place in places:
        if place.reader == "many":
            if words[at:]:
                given[place.name] = words[at:]
            return True
        if at < len(words):
            given[place.name] = words[at]
            at += 1
        elif place.reader == "one":
            return False
    return at == len(words)
