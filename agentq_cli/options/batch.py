"""`submit --batch`: JSON Lines, one object per task. Every wrong line is told, and then nothing is stored."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence

from agentq_cli.base.dataclass import NamedTuple, replace
from agentq_cli.base.errors import AgentqError, NotAnAddress, Usage, nearest, of_line
from agentq_cli.base.gathered import Gathered
from agentq_cli.model.work import Dependency
from agentq_cli.options.caller import Caller
from agentq_cli.options.new_task import AFTER, KEYS, TaskMaker
from agentq_cli.options.tree_options import LANDS_MORE, LineOfBatch, must_wait
from agentq_cli.options.values import parse_address, parse_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agentq_cli.model.tasks import NewTask
    from agentq_cli.options.table import Row
    from agentq_cli.options.tree_options import Admit

LISTS = frozenset(name for name, row in KEYS.items() if row.kind == "texts" and row.reader != "pairs")
"""The keys whose value is a list of texts, or one text."""

LISTED = LISTS | {"exec"}
"""The keys whose value may be a list of texts."""

PLAIN = frozenset(name for name, row in KEYS.items() if row.kind == "text")
"""The keys whose value is one text."""

WORK = ("prompt", "exec", "shell", "file")
"""The keys that say what to do."""

TYPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "command": ((list,), "a list of strings"),
    "many": ((list, str), "text or a list of them"),
    "pairs": ((dict,), "an object of strings, or true for a variable that the host has"),
    "flag": ((bool,), "true or false"),
    "money": ((int, float), "a number"),
    "whole": ((int,), "a whole number"),
    "text": ((str,), "text"),
    "texts": ((list, str), "text or a list of them"),
}
"""The types of a value and their name in errors, by the key's reader, else by its kind."""


def tasks(here: Caller, path: str, given: Mapping[str, Any], admit: Admit | None = None) -> list[NewTask]:
    """The tasks of a batch file, or of stdin for `-`; `given` are the defaults of its lines, `admit` as for
    `TaskMaker`."""
    maker = TaskMaker(here, admit=admit)
    defaults = {name: value for name, value in given.items() if value is not None}
    base = defaults.get("base")
    made: list[NewTask] = []
    lines: list[_Line] = []
    names: dict[str, int] = {}
    wrong = Gathered()
    unread = False  # whether a line may have a name that nobody knows
    for number, text in _lines(path):
        try:
            found = _object(text, number)
        except Usage as error:
            wrong.add(number, error)
            unread = True
            continue
        carries = bool((found.get("base") or base) == ".")
        lines.append(
            _named(found, number, names, lines, wrong, carries=carries)
            if "ref" in found
            else _Line(number, None, [], carries)
        )
        try:
            made.append(_task(maker, found, lines[-1], defaults, read_here=path == "-"))
        except AgentqError as error:
            wrong.add(number, of_line(error, number))
    for line in lines:
        for option, name in line.refs:
            if name not in names and not unread:
                what = _names_of(line.number)(option)
                wrong.add(line.number, Usage(f"{what} '@{name}': no line has that name{nearest(name, names)}"))
            elif option == "base" and name not in [other for after, other in line.refs if after in AFTER]:
                named = _names_of(line.number)
                wrong.add(line.number, Usage(f"{named('base')} '@{name}': {must_wait(named)}"))
    wrong.check()
    return _referred(made, lines, names)


def _named(
    found: dict[str, Any],
    number: int,
    names: dict[str, int],
    lines: Sequence[_Line],
    wrong: Gathered,
    *,
    carries: bool,
) -> _Line:
    """The line whose object this is, with its name entered in `names`."""
    name = found.pop("ref", None)
    if isinstance(name, str) and name in names:
        before = lines[names[name]].number
        wrong.add(number, Usage(f"{_names_of(number)('ref')} '{name}': line {before} already has this name"))
    elif isinstance(name, str):
        names[name] = len(lines)
    return _Line(number, name, [], carries)


def _task(
    maker: TaskMaker, found: dict[str, Any], line: _Line, defaults: dict[str, Any], *, read_here: bool
) -> NewTask:
    """The task of a line; what it waits for of other lines is added to the line's `refs`. `read_here`: the batch is
    what stdin has."""
    what = _names_of(line.number)
    found = _options(found, line.number)
    if read_here and found.get("stdin", defaults.get("stdin")) == "-":
        raise Usage(f"{what('stdin')} '-': the batch itself is read from stdin")
    if not AFTER.keys().isdisjoint(found):
        line.refs.extend((option, text) for option in AFTER if option in found for text in _take_refs(found, option))
    base = found.get("base", defaults.get("base"))
    if base is not None and _is_line(base, line.refs):
        found["base"] = LineOfBatch(base[1:])
        line.refs.append(("base", base[1:]))
    return maker.make(defaults | found, what, line.number)


def _is_line(base: str, refs: Sequence[tuple[str, str]]) -> bool:
    """Whether a base `@NAME` names a line: one that is waited for, or what cannot be a task."""
    if base[:1] != "@" or not base[1:2].isalnum():
        return False
    if base[1:] in [name for _, name in refs]:
        return True
    try:
        parse_address(base[1:])
    except NotAnAddress:
        return True
    except Usage:
        pass  # told where the base is read
    return False


class _Line(NamedTuple):
    """A line's number and name, the names of the lines that it refers to, each with the option that names it, and
    whether its branch begins with what its submitter has not committed."""

    number: int
    name: str | None
    refs: list[tuple[str, str]]
    carries: bool


def _take_refs(found: dict[str, Any], option: str) -> list[str]:
    """Remove the names of other lines, `@NAME`, from what a line waits for, and return them."""
    given = found[option]
    found[option] = [text for text in given if not text.startswith("@")]
    return [text[1:] for text in given if text.startswith("@")]


def _referred(made: list[NewTask], lines: list[_Line], names: Mapping[str, int]) -> list[NewTask]:
    """The tasks with what they have of other lines. Raises Usage on a cycle."""
    if not any(line.refs for line in lines):
        return made
    from graphlib import CycleError, TopologicalSorter

    graph: dict[int, list[int]] = {}
    for position, (task, line) in enumerate(zip(made, lines, strict=True)):
        graph[position] = [names[name] for _, name in line.refs]
        refs = [Dependency(None, AFTER[option], ref=names[name]) for option, name in line.refs if option in AFTER]
        work = replace(task.work, after=tuple(dict.fromkeys((*task.work.after, *refs))))
        base_of = _base_of(line, names)
        if base_of is not None and made[base_of].work.launch.repository != work.launch.repository:
            what = _names_of(line.number)("base")
            raise Usage(f"{what} '@{lines[base_of].name}': that line has no tree in the same repository")
        made[position] = task._replace(work=work, base_of=base_of)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        around = [lines[position] for position in reversed(error.args[1])]
        shown = " waits for ".join(f"'@{line.name}' (line {line.number})" for line in around)
        raise Usage(f"--batch line {around[0].number}: after: a cycle: {shown}") from None
    for line, task in zip(lines, made, strict=True):
        origin = line
        while (base_of := _base_of(origin, names)) is not None:
            origin = lines[base_of]
        land = task.work.launch.land
        if origin.carries and land is not None:
            raise Usage(f"--batch line {line.number}: land '{land}': its branch begins with base ., and {LANDS_MORE}")
    return made


def _base_of(line: _Line, names: Mapping[str, int]) -> int | None:
    """The position of the line at whose branch that of another begins."""
    return next((names[name] for option, name in line.refs if option == "base"), None)


def read_text(path: str, what: str) -> str:
    """A file's text, or stdin's for `-`, without a final newline. Raises Usage."""
    try:
        if path == "-":
            data = sys.stdin.buffer.read()
        else:
            with open(parse_path(path, what), "rb") as file:
                data = file.read()
    except OSError as error:
        raise Usage(f"{what} '{path}': {error.strerror}") from None
    except ValueError:
        raise Usage(f"{what} '{path}': not the name of a file") from None
    try:
        return data.decode("utf-8").removesuffix("\n")
    except UnicodeDecodeError as error:
        raise Usage(f"{what} '{path}': not UTF-8 text at byte {error.start}") from None


def _lines(path: str) -> list[tuple[int, str]]:
    return [each for each in enumerate(read_text(path, "--batch").split("\n"), start=1) if each[1].strip()]


def _place(number: int) -> str:
    return f"--batch line {number}"


def _names_of(number: int) -> Callable[[str], str]:
    return lambda name: f"{_place(number)}: {name}"


def _object(line: str, number: int) -> dict[str, Any]:
    """The object that a line is. Raises Usage."""
    found: dict[str, Any]
    try:
        found = _decoded(line)
    except _Twice as twice:
        raise Usage(f"{_place(number)}: '{twice}': duplicate key") from None
    except (ValueError, RecursionError) as error:
        why = "it begins with a byte order mark" if line.startswith("\ufeff") else error
        raise Usage(f"{_place(number)}: not JSON: {why}") from None
    if not isinstance(found, dict):
        raise Usage(f"{_place(number)}: '{line.strip()[:40]}': not a JSON object")
    name = found.get("ref")
    if name is not None and (type(name) is not str or not name):
        check("ref", name, _place(number))
    return found


def _options(found: dict[str, Any], number: int) -> dict[str, Any]:
    """The options of a line's task, checked. Raises Usage."""
    for name, value in found.items():
        if not _is_plain(name, value):
            found = _checked(_spelled(found, _place(number)), _place(number))
            break
    if len(found.keys() & WORK) != 1:
        raise Usage(f"{_place(number)}: needs exactly one of {', '.join(WORK)}")
    if "key" not in found and found.get("replace"):
        raise Usage(f"{_place(number)}: replace: only together with key")
    if "file" in found:
        found["prompt"] = read_text(found.pop("file"), f"{_place(number)}: file")
    return found


def _is_plain(name: str, value: object) -> bool:
    """Whether a value needs no `check`, and is what the option takes: the quick answer for most keys."""
    if type(value) is str:
        return name in PLAIN and value != ""
    return type(value) is list and name in LISTED and value != [""] and {*map(type, value)} <= {str}


def _spelled(found: dict[str, Any], what: str) -> dict[str, Any]:
    """The same with underscores for dashes, and without null values. Raises Usage if two keys become the same."""
    if not any(value is None or "-" in name for name, value in found.items()):
        return found
    spelled = [(name.replace("-", "_"), value) for name, value in found.items() if value is not None]
    if len(dict(spelled)) < len(spelled):
        raise Usage(f"{what}: duplicate key, with dashes and with underscores")
    return dict(spelled)


def _checked(found: dict[str, Any], what: str) -> dict[str, Any]:
    """The same with a list for each key that takes one. Raises Usage on an unknown key and on a value of the wrong
    type."""
    for name, value in found.items():
        check(name, value, what)
        if name in LISTS and isinstance(value, str):
            found[name] = [value]
    return found


def check(name: str, value: object, what: str, keys: Mapping[str, Row] = KEYS) -> None:
    """Raises Usage on an unknown key and on a value of the wrong type."""
    if name not in keys:
        raise Usage(f"{what}: unknown key '{name}'{nearest(name, keys)}")
    if name != "prompt" and keys[name].reader != "words" and value in ("", [""]):
        # It may come from a variable that a script never set. The task must not run without this option.
        raise Usage(f"{what}: {name} {_written(value)}: needs a value; leave the key out if there is none")
    row = keys[name]
    kinds, wanted = TYPES.get(row.reader) or TYPES[row.kind]
    good = isinstance(value, kinds) and (row.reader == "flag" or not isinstance(value, bool))
    if isinstance(value, list | dict):
        each_of = value.values() if isinstance(value, dict) else value
        good = good and all(isinstance(each, str) or (each is True and row.reader == "pairs") for each in each_of)
    if not good:
        raise Usage(f"{what}: {name} {_written(value)}: must be {wanted}")


def _written(value: object) -> str:
    """The beginning of a value as JSON."""
    try:
        return json.dumps(value)[:60]
    except RecursionError:
        return f"thousands of nested {type(value).__name__}s"


class _Twice(Exception):
    """A key occurs twice in an object."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _Twice(next(name for position, name in enumerate(names) if name in names[:position]))
    return found


_decoder = json.JSONDecoder(object_pairs_hook=_once)
"""One decoder for all lines, because creating one takes longer than decoding most lines."""
_scan: Callable[[str, int], tuple[Any, int]] = json.JSONDecoder().scan_once  # type: ignore[attr-defined]
"""The quick decoder, which takes the last of equal keys."""


def _decoded(line: str) -> Any:
    """The value that a line is. Raises _Twice, ValueError, RecursionError."""
    try:
        value, end = _scan(line, 0)
    except StopIteration:
        return _decoder.decode(line)  # an error to be told, or blanks before it
    # Each key has its colon: if there are no more colons than keys, then no key occurs twice.
    if end == len(line) and type(value) is dict and line.count(":") == len(value):
        return value
    return _decoder.decode(line)
