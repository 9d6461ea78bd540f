"""Short ways to type a command, written out: `x`, aliases, and words after the `--` of a prompt or of `edit --exec`.

Both readers of command lines know only what is written out. Imported only if the quick reader could not read the words.
"""

from __future__ import annotations

from agentq_cli.options.table import ALIASES, ARGUMENTS, CHANGES, COMMANDS, SHORT_EXEC, rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def written_out(words: Sequence[str]) -> list[str]:
    """The same command line without anything short; it is unchanged if it has nothing short or names no command."""
    place = _plain(words, 0, _Options(""))
    if place == len(words) or words[place] == "--":
        return list(words)
    name, before, rest = words[place], words[:place], list(words[place + 1 :])
    command = "submit" if name == SHORT_EXEC else ALIASES.get(name, name)
    if command not in COMMANDS:
        return list(words)
    known = _Options(command)
    if name == SHORT_EXEC:
        program = _plain(rest, 0, known)
        rest = [*rest[:program], "--exec", "--", *rest[program + (rest[program : program + 1] == ["--"]) :]]
    elif command in CHANGES:
        rest = _with_command(rest, known)
    elif "--exec" in known.spelled:
        rest = _with_arguments(rest, known)
    return [*before, command, *rest]


def _with_arguments(words: list[str], known: _Options) -> list[str]:
    """The words of a prompt's command; words after its `--` become --agent-arg.

    `--` also ends the options, so that a prompt may begin with a dash: what follows is the prompt, unless one was
    given before.
    """
    dashes = prompt = 0
    while (dashes := _plain(words, dashes, known)) < len(words) and words[dashes] != "--":
        prompt, dashes = prompt + 1, dashes + 1
    if dashes == len(words) or known.seen & {"exec", "shell", "batch"}:
        return words
    kept, after = words[:dashes], words[dashes + 1 :]
    if not prompt and "file" not in known.seen:
        if after[1:2] != ["--"]:
            return words
        kept, after = [*kept, "--", after[0]], after[2:]
    # Before the words of the prompt, because `--` may end the options.
    return [*(f"--agent-arg={word}" for word in after), *kept]


def _with_command(words: list[str], known: _Options) -> list[str]:
    """The words of a command that changes a task; each word after its `--exec` and `--` becomes one of --exec.

    Without `--`, all words after `--exec` are meant, as with `submit`.
    """
    place, begun = _plain(words, 0, known), -1
    while place < len(words) and words[place] != "--":
        begun = place if begun < 0 and "exec" in known.seen else begun
        place = _plain(words, place + 1, known)
    if "exec" not in known.seen or "--exec" not in words[:place]:
        return words
    end = place if place < len(words) or begun < 0 else begun
    kept, argv = [word for word in words[:end] if word != "--exec"], words[end:]
    argv = argv[1:] if argv[:1] == ["--"] else argv
    return [*kept, *(f"--exec={word}" for word in argv)] if argv else [*kept, "--exec"]


class _Options:
    """The options of a command by every spelling; `seen` are the names of those that were found."""

    def __init__(self, command: str) -> None:
        options = [row for row in rows(command) if row.reader not in ARGUMENTS]
        self.spelled = {spelling: row for row in options for spelling in row.spellings.split()}
        self.seen: set[str] = set()

    def take_value(self, spelling: str) -> bool:
        """Note an option; whether it takes a value."""
        option = self.spelled.get(spelling)
        if option is None:
            return False
        self.seen.add(option.name)
        return option.kind != "flag" and option.name != "exec"


def _plain(words: Sequence[str], at: int, known: _Options) -> int:
    """The place of the first word from `at` on that is neither an option nor the value of one; `--` counts."""
    while at < len(words) and words[at][:1] == "-" and words[at] not in ("-", "--"):
        at += 2 if _takes_next(words[at], known) else 1
    return min(at, len(words))


def _takes_next(word: str, known: _Options) -> bool:
    """Whether the value of an option is the next word."""
    spelling, equals, _ = word.partition("=")
    if word[:2] == "--":
        return known.take_value(spelling) and not equals
    for position, letter in enumerate(word[1:], start=2):
        if known.take_value(f"-{letter}"):
            return position == len(word)
    return False
