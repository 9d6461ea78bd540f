"""Agents as data: how each is started, continued and read. The shipped ones are TOML files beside this module.

A profile's keys, all but `argv` optional:

* `argv`: the command line. A word that is a placeholder stands for more: `{prompt}` (default: last, where `prompt` is
  `argv`), `{resume}` (default: after the other words), `{agent_args}` (default: after that), `{python}` and `{agents}`
  (this interpreter; this directory).
* `prompt`: `stdin` (default) or `argv`.
* `fresh`: words for `{resume}` when a conversation begins under an id chosen by agentq; none: the id is read from the
  stream.
* `resume`: words for `{resume}` when a conversation goes on; none: the agent cannot continue one.
* `max_cost`: words for `{max_cost}` (default: after `{resume}`) that tell the agent what a run may cost, `{usd}` in
  them.
* `resume_same_directory`: whether a conversation can go on only in the directory in which it was last used.
* `reader`: which reader understands its output; `none`: only the exit code counts.
* `streams`: whether its output ends with a final event, so that an end without one is a failure. Default: if it has a
  reader.
* `linger`: how long it may take to exit after its final event, which its reader sees (30 s); then its tree is ended,
  and what that event says holds.
* `env`, `env_remove`: environment variables added and removed, `stall_timeout`, `grace`: durations,
  `interrupt_first`: whether a stop begins with SIGINT, `version`: a command line that prints its version,
  `reports_cost`: whether it says what a run cost.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from functools import cache

from agentq_cli.config_schema import PROFILE, read_table
from agentq_cli.dataclass import dataclass, field
from agentq_cli.defaults import AGENT_CLIS, BUILT_IN
from agentq_cli.errors import NotFound, Usage, nearest
from agentq_cli.path import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agentq_cli.config import Config

DIRECTORY = Path(__file__).parent
"""The profiles that ship with agentq, a file each in `profiles/`."""

CONVERSATION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}\Z")
"""What a conversation id may look like: it becomes a word of a command line, so it must not look like a flag."""

LONGEST_WORD = 128 * 1024 - 1
"""Bytes that Linux lets one word of a command line have (MAX_ARG_STRLEN less its NUL)."""


LINGER_MS = 30_000
"""How long an agent may take to exit once it has said its last word; one that is done takes a moment."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One agent. Durations are milliseconds; the other fields are as the module says."""

    name: str
    argv: tuple[str, ...]
    prompt: str = "stdin"
    fresh: tuple[str, ...] = ()
    resume: tuple[str, ...] = ()
    max_cost: tuple[str, ...] = ()
    resume_same_directory: bool = False
    reader: str = "none"
    streams: bool = False
    env: Mapping[str, str] = field(default_factory=dict)
    env_remove: tuple[str, ...] = ()
    interrupt_first: bool = False
    stall_timeout_ms: int | None = None
    grace_ms: int | None = None
    linger_ms: int = LINGER_MS
    version: tuple[str, ...] = ()
    reports_cost: bool = False

    @property
    def chooses_conversation(self) -> bool:
        """Whether a new conversation gets its id, a UUID, from agentq beforehand."""
        return bool(self.fresh)

    @property
    def continues(self) -> bool:
        """Whether it can take up a conversation again."""
        return bool(self.resume)


def from_table(name: str, table: Mapping[str, Any]) -> Profile:
    """A profile from values that `config_schema.PROFILE` has read. Raises Usage where they do not fit together."""
    what = f"agent '{name}'"
    if "argv" not in table:
        raise Usage(f"{what}: has no argv; a new profile needs one")
    for key in ("fresh", "resume"):
        if table.get(key) and not any("{conversation}" in word for word in table[key]):
            raise Usage(f"{what}: {key}: holds no '{{conversation}}', so it could not name one")
    if table.get("prompt") != "argv" and "{prompt}" in table["argv"]:
        raise Usage(f"{what}: argv: holds '{{prompt}}', but the prompt is given on stdin; set prompt = \"argv\"")
    values = {key if key in Profile.__match_args__ else f"{key}_ms": value for key, value in table.items()}
    values.setdefault("streams", values.get("reader", "none") != "none")
    return Profile(name=name, **values)


@cache
def _built_in(name: str) -> Mapping[str, Any]:
    import tomllib

    file = DIRECTORY / "profiles" / f"{name}.toml"
    return read_table(PROFILE, tomllib.loads(file.read_text(encoding="utf-8")), name, lambda *keys: f"{file}:")


def names(config: Config) -> tuple[str, ...]:
    """Every agent that has a profile: the shipped ones, then the user's own. Reads no file."""
    return tuple(dict.fromkeys((*BUILT_IN, *config.agents)))


def profile(config: Config, name: str) -> Profile:
    """The profile of that name, the user's keys over the shipped ones. Raises NotFound with the nearest name."""
    if name not in names(config):
        raise NotFound(f"agent '{name}': no such agent{nearest(name, names(config))}")
    shipped = _built_in(name) if name in BUILT_IN else {}
    own = config.agents.get(name, {})
    merged = {**shipped, **own}
    if shipped and "env" in own:
        merged["env"] = {**shipped.get("env", {}), **own["env"]}
    return from_table(name, merged)


def profiles(config: Config) -> dict[str, Profile]:
    """All profiles by name."""
    return {name: profile(config, name) for name in names(config)}


def find_program(profile: Profile, path: str | None) -> str | None:
    """The file that the profile's program is, searched on `path` as execvp would; None where there is none."""
    return _find(_fixed_words(profile.argv[:1])[0], path)


def default_agent(config: Config, session: str, path: str | None) -> str:
    """The agent of a prompt whose submit names none: the session's, the config's, the one agent CLI on `path`.

    Raises Usage where none or several are found: `demo` is only taken when named, since a pretended answer must never
    pass for a real one.
    """
    named = config.options(session).get("agent") or config.default_agent
    if named is not None:
        return str(named)
    found = [name for name in AGENT_CLIS if _find(_program_of(config, name), path)]
    if len(found) == 1:
        return found[0]
    state = f"{', '.join(found)} are on PATH" if found else f"none of {', '.join(AGENT_CLIS)} is on PATH"
    raise Usage(
        f"--agent: {state}; name one with --agent or default_agent in the config, or try agentq out with --agent demo"
    )


def command(
    profile: Profile,
    *,
    prompt: str,
    conversation: str | None,
    resume: bool,
    agent_args: Sequence[str],
    max_cost_usd: float | None = None,
) -> tuple[tuple[str, ...], str | None]:
    """The command line of one run, and what it gets on stdin (None: nothing).

    `conversation` is the id to go on with where `resume` is true, else the one to begin under, for an agent that takes
    one. `max_cost_usd` is what the run may cost, for an agent that keeps to that itself. Raises Usage on an id that is
    none, and on a prompt that no command line can hold.
    """
    if conversation is not None and not CONVERSATION.match(conversation):
        raise Usage(f"conversation '{conversation}': not an id that could be put on a command line")
    if resume and not (profile.resume and conversation):
        raise Usage(f"agent '{profile.name}': cannot continue a conversation")
    chosen = () if conversation is None else profile.resume if resume else profile.fresh
    stands_for = {
        "{resume}": [word.replace("{conversation}", conversation or "") for word in chosen],
        "{max_cost}": [] if max_cost_usd is None else _cost_words(profile, max_cost_usd),
        "{agent_args}": list(agent_args),
        "{prompt}": [_prompt_word(profile, prompt)] if profile.prompt == "argv" else [],
    }
    words = list(profile.argv)
    for placeholder, replacement in stands_for.items():
        if placeholder not in words and replacement:
            words.append(placeholder)
    argv = [word for each in words for word in stands_for.get(each, _fixed_words((each,)))]
    return tuple(argv), prompt if profile.prompt == "stdin" else None


def version_command(profile: Profile) -> tuple[str, ...] | None:
    """The command line that prints the agent's version, or None."""
    return _fixed_words(profile.version) or None


def _cost_words(profile: Profile, usd: float) -> list[str]:
    # Never 0, which some take for no limit; and never as 1e-05.
    return [word.replace("{usd}", f"{max(usd, 0.000001):.6f}") for word in profile.max_cost]


def _prompt_word(profile: Profile, prompt: str) -> str:
    size = len(prompt.encode("utf-8", "surrogateescape"))
    if size > LONGEST_WORD:
        raise Usage(f"agent '{profile.name}': takes its prompt as an argument, and {size} bytes are too long for one")
    if "\0" in prompt:
        raise Usage(f"agent '{profile.name}': takes its prompt as an argument, which cannot hold a NUL character")
    return prompt


def _fixed_words(words: Sequence[str]) -> tuple[str, ...]:
    """Words whose placeholders do not depend on the task, and `~` expanded where the program begins with it."""
    replaced = (word.replace("{python}", sys.executable).replace("{agents}", str(DIRECTORY)) for word in words)
    return tuple(os.path.expanduser(word) if word.startswith("~/") else word for word in replaced)


def _program_of(config: Config, name: str) -> str:
    """The program of a known agent CLI, without reading a shipped profile: it has the agent's name."""
    return _fixed_words(config.agents.get(name, {}).get("argv", (name,))[:1])[0]


def _find(program: str, path: str | None) -> str | None:
    if "/" in program:
        candidates = [program]
    else:
        # An empty entry means the current directory to execvp; nobody who is asked about agents wants that searched.
        candidates = [os.path.join(entry, program) for entry in (path or os.defpath).split(os.pathsep) if entry]
    # A directory that may not be searched is passed over, as by a shell.
    return next((file for file in candidates if os.path.isfile(file) and os.access(file, os.X_OK)), None)
