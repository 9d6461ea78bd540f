"""Makes a task that can be stored from options that a person typed or that a line of a batch has.

If an option is not given, its value comes from `[sessions.NAME]` or `[defaults]` of the config, already parsed.
"""

from __future__ import annotations

import os

from agentq_cli.base.dataclass import NamedTuple, replace
from agentq_cli.base.defaults import MAX_BACKOFF_MS
from agentq_cli.base.environment import captured
from agentq_cli.base.errors import LimitReached, NotFound, Usage
from agentq_cli.base.names import is_name
from agentq_cli.model.addresses import DEFAULT_SESSION
from agentq_cli.model.tasks import NewTask
from agentq_cli.model.work import Condition, Dependency, Launch, Work
from agentq_cli.options import values
from agentq_cli.options.caller import Caller
from agentq_cli.options.programs import Programs, path_of
from agentq_cli.options.table import TREE, rows
from agentq_cli.options.task_times import TaskTimes
from agentq_cli.options.texts import key, labels, text, word, work
from agentq_cli.show import notices

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from agentq_cli.model.addresses import Address
    from agentq_cli.options.table import Given, Row
    from agentq_cli.options.tree_options import Admit, Trees

AFTER = {"after": Condition.SUCCESS, "after_any": Condition.ANY, "after_failure": Condition.FAILURE}
"""The options that name the tasks to wait for, and how those must end."""

KEYS = {row.name: row for row in rows("batch")}
"""The keys of a line of a batch: the long options of submit, the prompt or command, and `ref`, a name for the line."""

LAUNCH = [row for row in KEYS.values() if row.field.startswith("launch.")]
"""The options that fill a field of a task's launch."""


ABOUT_TREE = frozenset(name for name, row in KEYS.items() if row.panel == TREE)
"""The options that need a tree, and the one that asks for it."""


OWN = frozenset(("prompt", "exec", "shell", "label", "key", *AFTER))
"""The options that are read for each task; all others are read once for all tasks of a command that have the same."""


class Like(NamedTuple):
    """A task without what is its own, the options of its session, and the PATH of its runs, as far as it is known."""

    task: NewTask
    options: Given
    path: str | None


LARGEST_STDIN = 1 << 20
"""The most bytes that a submit keeps for a command's stdin; a file can have any size."""


class TaskMaker:
    """Makes the tasks of one command; `what` returns the name of an option as the person wrote it, for errors.

    Most lines of a batch differ only in the prompt or the command, so everything else is read once. A duration given to
    --expires counts from `counted_from`, the slot of an occurrence, or from now. `admit` says whether a repository can
    have a tree for a task; without it no task gets one. `changed` is the address of a task that is changed to this.
    """

    def __init__(
        self,
        at: Caller,
        fallback: Given | None = None,
        *,
        counted_from: int | None = None,
        admit: Admit | None = None,
        changed: Address | None = None,
    ) -> None:
        self._at = at
        self._admit = admit
        self._changed = changed
        self._trees: Trees | None = None
        self._fallback = fallback or {}
        self._times = TaskTimes(at, counted_from)
        self._checked: set[tuple[str, str]] = set()
        self._programs = Programs(at.config)
        self._likes: dict[object, Like] = {}
        self._in_trees: set[str] = set()
        self._typed: str | None = None
        self._captured = captured(at.environ, at.config.capture_env, at.config.secret_env)
        self._url = at.url

    def make(self, given: Given, what: Callable[[str], str], line: int | None = None) -> NewTask:
        """One task; of a batch that of this line. Raises Usage and NotFound; their messages name the option and its
        value."""
        prompt, argv = work(given, what)
        task, options, path = self._like(given, argv is not None, what)
        if argv is not None and self._url is None:
            self._programs.check_command(argv, task.work.cwd, path, what("exec"))
        own: dict[str, Any] = {"prompt": prompt, "argv": argv}
        if given.get("label"):
            own["labels"] = labels(given["label"], what)
        if given.get("key") is not None:
            own["key"] = key(given["key"], what)
        if not AFTER.keys().isdisjoint(given):
            own["after"] = dependencies(given, what)
        doing = replace(task.work, **own)
        if doing.launch.repository is not None:
            self._tree_maker().check(doing, task.session, chosen(given, options, "base"), what)
        return task._replace(work=doing, line=line)

    def _like(self, given: Given, exec_: bool, what: Callable[[str], str]) -> Like:
        """What a task has in common with all that differ from it only in their `OWN` options."""
        session = chosen(given, {"session": DEFAULT_SESSION}, "session")
        others = [item for item in given.items() if item[0] not in OWN]
        kept = (session, session in self._in_trees, exec_, *others)
        try:
            found = self._likes.get(kept)
        except TypeError:  # a list is no key of a dictionary
            return self._made(given, session, exec_, what)
        if found is None:
            found = self._made(given, session, exec_, what)
            if "backoff" not in given:  # the warning about it is printed for each line that has it
                self._likes[kept] = found
        return found

    def _made(self, given: Given, session: str, exec_: bool, what: Callable[[str], str]) -> Like:
        if not is_name(session):
            values.parse_session(session, what("session"))
        options = {**self._fallback, **self._at.config.options(session)}
        line = given.get("conversation")
        if line is not None:
            values.parse_conversation(line, what("conversation"))
        # The config says what holds for tasks of which nothing is said, and a conversation is the session's.
        context = read(KEYS["context"], given, {} if line is not None else options, what)
        if context is None:
            context = "isolated" if session == DEFAULT_SESSION and line is None else "session"
        agent = None if exec_ else self._agent(given, session, what)
        cwd = self._cwd(given, options, what)
        tree = {}
        own = context == "isolated"
        if options.get("worktree") or not ABOUT_TREE.isdisjoint(given) or self._may_be_in_tree(session, own):
            tree = self._tree_maker().fields(given, options, what, session=session, directory=cwd, own=own)
            if tree and not own:
                self._in_trees.add(session)
        launch = self._launch(given, options, agent, what, tree)
        on_dep_failure = read(KEYS["on_dep_failure"], given, options, what) or KEYS["on_dep_failure"].choices[0]
        shared = self._shared(given, options, exec_, what)
        path = path_of(launch, options, self._captured)
        if agent is not None and self._url is None:
            self._programs.check_agent(agent, path, what("agent"))
        doing = Work(
            kind="exec" if exec_ else "prompt",
            cwd=cwd,
            agent=agent,
            priority=read(KEYS["priority"], given, options, what) or 0,
            labels=labels(options.get("label", ()), what),
            context=context,
            launch=launch,
            on_dep_failure=on_dep_failure,
            shared=shared,
        )
        if line is not None and not doing.in_line:
            of = "a command without --worktree" if exec_ and not own else "an isolated task"
            raise Usage(f"{what('conversation')} '{line}': {of} is in no conversation of its session")
        due_at = self._times.due(given, session, what)
        task = NewTask(
            session,
            replace(doing, expires_at=self._times.expires(given, options, session, what)),
            replace=bool(given.get("replace")),
            due_at=due_at,
            held=bool(given.get("hold")),
            captured=self._captured,
        )
        return Like(task, options, path)

    def _may_be_in_tree(self, session: str, own: bool) -> bool:
        """Whether a new task runs in the tree of its session without having asked for that."""
        return self._changed is None and not own and (session in self._in_trees or self._at.may_have_trees())

    def _tree_maker(self) -> Trees:
        from agentq_cli.options.tree_options import Trees

        self._trees = self._trees or Trees(self._admit, self._changed)
        return self._trees

    def _agent(self, given: Given, session: str, what: Callable[[str], str]) -> str:
        from agentq_cli.agents import profile as profiles

        config = self._at.config
        name = given.get("agent")
        if name is None:
            return profiles.default_agent(config, session, self._at.environ.get("PATH"))
        if name not in profiles.names(config):
            try:
                profiles.profile(config, name)
            except NotFound as error:
                raise Usage(f"{what('agent')} {error.message.removeprefix('agent ')}") from None
        return str(name)

    def _shared(self, given: Given, options: Given, exec_: bool, what: Callable[[str], str]) -> bool:
        if exec_ and given.get("shared"):
            raise Usage(f"{what('shared')}: a command has no agent that edits; it never waits for a directory")
        return not exec_ and bool(chosen(given, options, "shared"))

    def _cwd(self, given: Given, options: Given, what: Callable[[str], str]) -> str:
        named = chosen(given, options, "cwd")
        try:
            path = os.getcwd() if named is None else os.path.abspath(values.parse_path(named, what("cwd")))
        except FileNotFoundError:
            raise Usage(f"{what('cwd')}: the current directory no longer exists") from None
        if named == "" or not (os.path.isdir(path) or self._elsewhere(named)):
            raise Usage(f"{what('cwd')} '{named}': no such directory")
        return text(path, what("cwd"))

    def _launch(
        self, given: Given, options: Given, agent: str | None, what: Callable[[str], str], tree: Given
    ) -> Launch:
        exec_ = agent is None
        if given.get("tz") is not None:
            self._at.zone(given["tz"])
        named = stdin = chosen(given, options, "stdin")
        if stdin is not None:
            if given.get("stdin") is not None and not exec_:
                raise Usage(f"{what('stdin')} '{named}': only a command reads stdin; an agent gets its prompt")
            stdin = self._stdin(stdin, what("stdin"))
        plain = {
            each.field.removeprefix("launch."): read(each, given, options, what)
            for each in LAUNCH
            if each.reader in READERS
        }
        plain |= {"land_as": None, **tree}
        longest = plain["max_backoff_ms"] or MAX_BACKOFF_MS
        if given.get("backoff") is not None and plain["backoff_ms"] > longest:
            shown = values.format_duration(longest)
            notices.warn(f"{what('backoff')} '{given['backoff']}': no delay is longer than --max-backoff, {shown}")
        arguments = given.get("agent_arg") or ()
        if arguments and exec_:
            raise Usage(f"{what('agent_arg')} '{arguments[0]}': a command has no agent")
        return Launch(
            **plain,
            env=self._environment(given, options, what, private_tmp=not exec_),
            on=self._hosts(given, options, what),
            agent_args=() if exec_ else (*options.get("agent_arg", ()), *arguments),
            stdin=stdin if exec_ else None,
            umask=self._at.umask,
            depth=depth(self._at.environ),
            tz=given.get("tz"),
            conversation_key=given.get("conversation"),
            script=self._script(given, options, what),
            check=word("check", given, options, what),
            max_cost_usd=self._max_cost(given, options, agent, what),
        )

    def _stdin(self, named: str, what: str) -> str:
        """What a command reads: the path of a file, or for `-` the text of this process's stdin."""
        if named == "-":
            if self._typed is None:  # all tasks of one command get the same
                with open(0, "rb", closefd=False) as file:
                    data = file.read(LARGEST_STDIN + 1)
                if len(data) > LARGEST_STDIN:
                    shown = values.format_size(LARGEST_STDIN)
                    raise Usage(f"{what} '-': more than {shown}; write it to a file and give its path")
                self._typed = f"-{data.decode('utf-8', 'surrogateescape')}"
            return self._typed
        return self._file(named, what)

    def _max_cost(self, given: Given, options: Given, agent: str | None, what: Callable[[str], str]) -> float | None:
        """The most that all runs of the task may cost. Raises Usage if nothing could enforce the limit."""
        typed, default = given.get("max_cost"), options.get("max_cost")
        value = f"{typed:g}" if isinstance(typed, float) else str(typed)[:40]
        shown = f"{what('max_cost')} '{value}'"
        if typed is not None and not 0 < typed < MOST_COST:
            raise Usage(f"{shown}: must be a number of dollars above 0")
        if agent is None:
            if typed is not None:
                raise Usage(f"{shown}: a command has no agent that could say what it costs")
            return None
        from agentq_cli.agents import profile as profiles

        if (typed is None and default is None) or profiles.profile(self._at.config, agent).reports_cost:
            return default if typed is None else float(typed)
        if typed is not None:
            raise Usage(f"{shown}: agent '{agent}' reports no cost")
        if ("max_cost", agent) not in self._checked:
            self._checked.add(("max_cost", agent))
            notices.warn(f"max_cost '{default:g}' of the config does not hold here: agent '{agent}' reports no cost")
        return None

    def _environment(
        self, given: Given, options: Given, what: Callable[[str], str], *, private_tmp: bool
    ) -> dict[str, str | None]:
        if not (given.get("env") or given.get("env_file") or options.get("env_file")):
            return {}
        from agentq_cli.options.variables import environment

        return environment(self._at, given, options, what, private_tmp=private_tmp)

    def _hosts(self, given: Given, options: Given, what: Callable[[str], str]) -> tuple[str, ...]:
        if not (given.get("on") or options.get("on")):
            return ()
        from agentq_cli.options import hosts

        return hosts.wanted(self._at, given, options, what)

    def _script(self, given: Given, options: Given, what: Callable[[str], str]) -> str | None:
        named = given.get("script") or options.get("script")
        if named is None:
            return None
        return text(self._file(named, what("script")), what("script"))

    def _file(self, named: str, what: str) -> str:
        path = os.path.abspath(values.parse_path(named, what))
        if not (os.path.isfile(path) or self._elsewhere(named)):
            raise Usage(f"{what} '{named}': no such file")
        return path

    def _elsewhere(self, named: str | None) -> bool:
        """Whether a path that is not on this machine may be on the one that runs the task."""
        return self._url is not None and named is not None and os.path.isabs(named)


def content(place: str, given: Given) -> dict[str, Any]:
    """The given options of a command that a line of a batch could also have."""
    return {
        each.name: given[each.name] for each in rows(place) if "batch" in each.holds and given[each.name] is not None
    }


def chosen(given: Given, options: Given, name: str) -> Any:
    """The value that was given, even if the value is empty; otherwise the config's."""
    value = given.get(name)
    return options.get(name) if value is None else value


MOST_COST = 1e12

READERS: Mapping[str, Callable[[Any, Row, str], Any]] = {
    "duration": lambda text, _, what: values.parse_duration(text, what),
    "size": lambda text, _, what: values.parse_size(text, what),
    "whole": values.parse_whole,
    "choice": values.parse_choice,
}
"""The functions that read a value which depends on nothing but its option."""


def read(option: Row, given: Given, options: Given, what: Callable[[str], str]) -> Any:
    """The stored value of an option with one of these readers; if the option was not given, the config's value, already
    parsed."""
    value = given.get(option.name)
    return options.get(option.name) if value is None else READERS[option.reader](value, option, what(option.name))


def dependencies(given: Given, what: Callable[[str], str]) -> tuple[Dependency, ...]:
    """The tasks to wait for, each once. Raises Usage if a text does not stand for addresses of tasks."""
    found = [
        Dependency(values.parse_address(address, what(name)), on)
        for name, on in AFTER.items()
        if name in given
        for text in given[name] or ()
        for address in values.expanded(text, what(name))
    ]
    return tuple(dict.fromkeys(found))


DEPTH_LIMIT = 10
"""How many agents deep a submit may be: a chain of agents that submit tasks for agents ends here."""


def depth(environ: Mapping[str, str]) -> int:
    """How many agents deep this submit is; from a person's shell it is 0. Raises LimitReached."""
    found = environ.get("AGENTQ_DEPTH", "")
    deep = int(found) if found.isdecimal() and len(found) < 10 else 0
    if deep > DEPTH_LIMIT:
        raise LimitReached(f"AGENTQ_DEPTH {deep}: agents may submit one another {DEPTH_LIMIT} deep")
    return deep


def spelled(name: str) -> str:
    """The option as a person types it."""
    return "PROMPT" if name == "prompt" else f"--{name.replace('_', '-')}"
