"""Agents as data: how each one is started, continued and read. The built-in ones are TOML files beside this module.

The keys of a profile; all but `argv` are optional:

* `argv`: the command line. These words are placeholders and are replaced: `{prompt}` (default: last, if `prompt` is
  `argv`), `{resume}` (default: after the other words), `{agent_args}` (default: after that), `{python}` and `{agents}`
  (this interpreter; this directory).
* `args`: words for `{agent_args}` before those of a task; so a built-in profile is added to without being copied.
* `prompt`: `stdin` (default) or `argv`.
* `fresh`: the words of `{resume}` when a conversation begins under an id that agentq chooses. Without them the id is
  read from the stream.
* `resume`: the words of `{resume}` when a conversation is continued. Without them the agent cannot continue one.
* `interactive`: the command line with which a person continues a conversation by hand, with `{conversation}` in it.
* `max_cost`: the words of `{max_cost}` (default: after `{resume}`), which tell the agent what a run may cost, with
  `{usd}` in them.
* `resume_same_directory`: whether a conversation can only be continued in the directory where it was last used.
* `reader`: which reader understands the output; with `none`, only the exit code counts.
* `streams`: whether the output ends with a final event, so that an end without one is a failure. Default: true if the
  profile has a reader.
* `linger`: how long the agent may take to exit after its final event (30 s). After that its process tree is killed, and
  the final event still decides.
* `env`, `env_remove`: environment variables to add and to remove.
* `stall_timeout`, `grace`: durations.
* `interrupt_first`: whether a stop begins with SIGINT.
* `version`: a command line that prints the agent's version.
* `reports_cost`: whether the agent reports what a run cost.
* `edits`: whether the agent changes files where it runs, so that no other such agent is started there meanwhile.
  Default: true for the built-in agent CLIs, whose files need not be read to know it.
* `asks`: what the agent asks of a directory that it has not seen, in words: every tree of a task is one. Default:
  nothing that keeps it from working.
* `trust`: the documented words that answer that. They come before `args`, and only in a tree that agentq has made.
* `mcp`: what `agentq mcp --print` prints: the line or the piece of a file that registers the server with the agent.
  `{shell}` stands for the server's command line as a shell takes it, `{argv}` for the same as a list in JSON,
  `{program}` and `{args}` for its first word and the others, `{variables}` for a list of the variables that it needs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from agentq_cli.base.cached import cache
from agentq_cli.base.dataclass import dataclass, field
from agentq_cli.base.defaults import AGENT_CLIS, BUILT_IN
from agentq_cli.base.environment import find_program as find_file
from agentq_cli.base.errors import NotFound, Usage, nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agentq_cli.config.configuration import Config

DIRECTORY = os.path.dirname(__file__)
"""The built-in profiles are in `profiles/` below it, one file each."""

CONVERSATION = r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}\Z"
"""What a conversation id may look like: it becomes a word of a command line, so it must not look like an option."""

LONGEST_WORD = 128 * 1024 - 1
"""The most bytes that Linux allows in one word of a command line (MAX_ARG_STRLEN minus its NUL)."""


LINGER_MS = 30_000
"""How long an agent may take to exit after its final event; a healthy one needs only a moment."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One agent. Durations are milliseconds; the module's docstring explains the other fields."""

    name: str
    argv: tuple[str, ...]
    args: tuple[str, ...] = ()
    prompt: str = "stdin"
    fresh: tuple[str, ...] = ()
    resume: tuple[str, ...] = ()
    interactive: tuple[str, ...] = ()
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
    edits: bool = False
    asks: str | None = None
    trust: tuple[str, ...] = ()
    mcp: str | None = None

    @property
    def question(self) -> str | None:
        """What it asks of a directory that it has not seen, and what answers that, in words; None if it asks
        nothing."""
        if self.asks is None:
            return None
        answer = " ".join(self.trust) or "no switch"
        return f"asks {self.asks} of a directory that it has not seen; {answer} answers that"

    @property
    def unanswered(self) -> str | None:
        """The same if it keeps the agent from working there: nothing answers it."""
        return None if self.trust else self.question

    @property
    def chooses_conversation(self) -> bool:
        """Whether agentq chooses the id of a new conversation, a UUID, in advance."""
        return bool(self.fresh)

    @property
    def continues(self) -> bool:
        """Whether the agent can continue a conversation."""
        return bool(self.resume)


def from_table(name: str, table: Mapping[str, Any]) -> Profile:
    """A profile from values that `config_schema.PROFILE` has read. Raises Usage if the values contradict each other."""
    what = f"agent '{name}'"
    if "argv" not in table:
        raise Usage(f"{what}: no argv; a new profile needs one")
    for key in ("fresh", "resume"):
        if table.get(key) and not any("{conversation}" in word for word in table[key]):
            raise Usage(f"{what}: {key}: contains no '{{conversation}}', so it cannot name a conversation")
    if table.get("prompt") != "argv" and "{prompt}" in table["argv"]:
        raise Usage(f"{what}: argv: contains '{{prompt}}', but the prompt is passed on stdin; set prompt = \"argv\"")
    values = {key if key in Profile.__match_args__ else f"{key}_ms": value for key, value in table.items()}
    values.setdefault("streams", values.get("reader", "none") != "none")
    values.setdefault("edits", name in AGENT_CLIS)
    return Profile(name=name, **values)


@cache
def _built_in(name: str) -> Mapping[str, Any]:
    import tomllib

    from agentq_cli.config.key_readers import read_table
    from agentq_cli.config.schema import PROFILE

    path = f"{DIRECTORY}/profiles/{name}.toml"
    with open(path, "rb") as file:
        return read_table(PROFILE, tomllib.load(file), name, lambda *keys: f"{path}:")


def names(config: Config) -> tuple[str, ...]:
    """Every agent that has a profile: the built-in ones, then the user's own. Reads no file."""
    return tuple(dict.fromkeys((*BUILT_IN, *config.agents)))


def profile(config: Config, name: str) -> Profile:
    """The profile of that name: the user's keys override the built-in ones. Raises NotFound with the nearest name."""
    if name not in names(config):
        raise NotFound(f"agent '{name}': no such agent{nearest(name, names(config))}")
    shipped = _built_in(name) if name in BUILT_IN else {}
    own = config.agents.get(name, {})
    merged = {**shipped, **own}
    if shipped and "env" in own:
        merged["env"] = {**shipped.get("env", {}), **own["env"]}
    return from_table(name, merged)


def edited(config: Config, agent: str, directory: str) -> str | None:
    """The real path of the directory in which an agent edits; None if it edits nothing, or is unknown, or if there is
    no `directory`, as of a command. Reads no built-in profile."""
    if not directory or not config.agents.get(agent, {}).get("edits", agent in AGENT_CLIS):
        return None
    return os.path.realpath(directory)


def profiles(config: Config) -> dict[str, Profile]:
    """All profiles, by name."""
    return {name: profile(config, name) for name in names(config)}


def find_program(profile: Profile, path: str | None) -> str | None:
    """The path of the profile's program, searched on `path` as execvp(3) does; None if it is not found."""
    return find_file(_fixed_words(profile.argv[:1])[0], path)


def available(config: Config, path: str | None) -> tuple[str, ...]:
    """The agents whose programs are on a PATH, without the one that only pretends."""
    found = profiles(config).items()
    return tuple(name for name, each in found if name != "demo" and find_program(each, path) is not None)


def program_of(config: Config, name: str) -> str:
    """The program of a known agent, without reading its built-in profile: an agent CLI is called as the agent is, and
    `demo` is run by this interpreter."""
    argv = config.agents.get(name, {}).get("argv") or ((name,) if name in AGENT_CLIS else ("{python}",))
    return _fixed_words(argv[:1])[0]


def default_agent(config: Config, session: str, path: str | None) -> str:
    """The agent for a prompt submitted without one: the session's, the config's, or the only agent CLI on `path`.

    Raises Usage if none or several are found. `demo` is only used when named, since a pretended answer must never pass
    for a real one.
    """
    named = config.options(session).get("agent") or config.default_agent
    if named is not None:
        return str(named)
    found = [name for name in AGENT_CLIS if find_file(program_of(config, name), path)]
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
    new_directory: bool = False,
) -> tuple[tuple[str, ...], str | None]:
    """The command line of one run, and the text for its stdin (None: empty).

    `conversation` is the id to continue if `resume` is true, else the id under which to begin, for an agent that
    accepts one. `max_cost_usd` is what the run may cost, for an agent that enforces such a limit itself.
    `new_directory`: it runs where it may never have been, in a tree that agentq has made. Raises Usage if the id is not
    valid, or if the prompt does not fit on a command line.
    """
    import re

    if conversation is not None and not re.match(CONVERSATION, conversation):
        raise Usage(f"conversation '{conversation}': not a valid id for a command line")
    if resume and not (profile.resume and conversation):
        raise Usage(f"agent '{profile.name}': cannot continue a conversation")
    chosen = () if conversation is None else profile.resume if resume else profile.fresh
    given = [*profile.args, *agent_args]
    trust = [word for word in profile.trust if new_directory and word not in given]
    stands_for = {
        "{resume}": [word.replace("{conversation}", conversation or "") for word in chosen],
        "{max_cost}": [] if max_cost_usd is None else _cost_words(profile, max_cost_usd),
        "{agent_args}": [*trust, *given],
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
    # Never 0, which some agents take to mean no limit; and never in the form 1e-05.
    return [word.replace("{usd}", f"{max(usd, 0.000001):.6f}") for word in profile.max_cost]


def _prompt_word(profile: Profile, prompt: str) -> str:
    size = len(prompt.encode("utf-8", "surrogateescape"))
    if size > LONGEST_WORD:
        raise Usage(f"agent '{profile.name}': takes its prompt as an argument, and {size} bytes is too long")
    if "\0" in prompt:
        raise Usage(f"agent '{profile.name}': takes its prompt as an argument, which cannot contain a NUL character")
    return prompt


def _fixed_words(words: Sequence[str]) -> tuple[str, ...]:
    """The words with those placeholders replaced that do not depend on the task, and a leading `~` expanded."""
    replaced = (word.replace("{python}", sys.executable).replace("{agents}", str(DIRECTORY)) for word in words)
    return tuple(os.path.expanduser(word) if word.startswith("~/") else word for word in replaced)
