"""Writes the man pages and completion files: `python -m agentq_cli.manual.pages [--check] MAN COMPLETIONS`.

They are kept in the repository, so that installing them does not need this program. `--check` compares them byte by
byte with the current application. No command imports this module.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from agentq_cli.base.errors import Usage
from agentq_cli.manual import bash, command_pages, config_page, design_page, fish, main_page, state_page, zsh
from agentq_cli.manual.surface import application, commands
from agentq_cli.options.table import GROUPS
from agentq_cli.show import notices


def man_pages() -> Mapping[str, str]:
    """Every man page by its place below `man/`."""
    found = commands()
    pages = {main_page.NAME: main_page.render(application(), found)}
    for command in found:
        pages[command_pages.name_of(command)] = command_pages.render(command, _related(command.name))
    pages |= {page.NAME: page.render() for page in (config_page, state_page)}
    pages |= {name: design_page.render(name) for name in design_page.NAMES}
    return {f"man{name[-1]}/{name}": text for name, text in pages.items()}


def completion_files() -> Mapping[str, str]:
    """Every completion file by its name."""
    return {shell.NAME: shell.render() for shell in (bash, fish, zsh)}


def _related(name: str) -> tuple[str, ...]:
    (group,) = (names for names in GROUPS.values() if name in names)
    return tuple(other for other in group if other != name)


def stale(directory: Path, wanted: Mapping[str, str]) -> list[str]:
    """The files that are outdated, missing or superfluous."""
    there = {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}
    differing = [name for name in wanted if name in there and (directory / name).read_bytes() != wanted[name].encode()]
    return sorted({*differing, *(there ^ set(wanted))})


def write(directory: Path, wanted: Mapping[str, str]) -> None:
    """Write exactly these files to the directory, and remove all others."""
    for name in stale(directory, wanted):
        if name in wanted:
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_text(wanted[name], encoding="utf-8")
        else:
            (directory / name).unlink()


def main(arguments: Sequence[str]) -> int:
    """Write the files, or compare them and return 1 if they differ. Raises Usage."""
    check = "--check" in arguments
    places = [each for each in arguments if each != "--check"]
    if len(places) != 2:
        raise Usage("pages: name the directories of the man pages and of the completions")
    differing = []
    for place, wanted in zip(places, (man_pages(), completion_files()), strict=True):
        if check:
            differing += [f"{place}/{name}" for name in stale(Path(place), wanted)]
        else:
            write(Path(place), wanted)
    for name in differing:
        again = f"python -m agentq_cli.manual.pages {' '.join(places)}"
        notices.error(f"'{name}': outdated; run `{again}`")
    return int(bool(differing))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
