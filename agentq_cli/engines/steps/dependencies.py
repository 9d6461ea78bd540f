"""Tasks that wait for others: entered when they are stored, settled in the commit that ends or reopens another.

Tasks of the same session are settled in that very commit, including all that wait for them in turn. Tasks of another
session are noted there, and settled in a commit of their session by the next process that comes to it
(`settle_elsewhere`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from agentq_cli.base.dataclass import replace
from agentq_cli.base.errors import NotFound, Usage
from agentq_cli.engines.steps import keys, lines, pruned, rows
from agentq_cli.model.addresses import Address
from agentq_cli.model.statuses import Status
from agentq_cli.model.work import Condition, Dependency

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.engines.transaction import Reading, Transaction
    from agentq_cli.model.tasks import Task
    from agentq_cli.policy.dependencies import Found


def resolve(after: Sequence[Dependency], stored: Mapping[int, Address]) -> tuple[Dependency, ...]:
    """Dependencies, with the addresses that the lines of a batch were given."""
    return tuple(dict.fromkeys(each if each.ref is None else Dependency(stored[each.ref], each.on) for each in after))


def enter(write: Transaction, seq: int, after: Sequence[Dependency], *, known: Collection[Address] = ()) -> None:
    """Store what a task waits for, replacing what it waited for before.

    Raises NotFound if a dependency does not exist (`known` ones do, though the index may not have them yet), and Usage
    if the task would wait for itself.
    """
    own = Address(write.session, seq)
    for each in after:
        assert each.address is not None
        if each.address == own:
            raise Usage(f"{option(each)} '{own}': a task cannot wait for itself")
        if each.address not in known:
            require(write, each, _note(write))
        if own in known and each.address in known:
            continue  # lines of one batch: the code that read it has checked for cycles
        target = {"target_session": own.session, "target_seq": own.seq}
        if write.ask("dependencies.reaches", each.address._asdict() | target):
            raise Usage(f"{option(each)} '{each.address}': it waits for {own}, which would then wait for itself")
    write.tell("dependencies.set_after", {"seq": seq, "after": rows.dependencies_text(after)})
    write.tell("dependencies.forget", own._asdict())
    for each in after:
        assert each.address is not None
        values = own._asdict() | {"on_session": each.address.session, "on_seq": each.address.seq, "condition": each.on}
        write.tell("dependencies.add", values)


def keep(write: Transaction, seq: int, after: Sequence[Dependency]) -> None:
    """Protect from pruning what an occurrence's next one is to wait for. Raises NotFound."""
    for each in after:
        require(write, each, _note(write))
        assert each.address is not None
        values = {"session": write.session, "seq": seq, "condition": each.on}
        values |= {"on_session": each.address.session, "on_seq": each.address.seq}
        write.tell("dependencies.add", values)


def option(dependency: Dependency) -> str:
    """The option that requests a dependency."""
    return "--after" if dependency.on is Condition.SUCCESS else f"--after-{dependency.on}"


def require(reading: Reading, dependency: Dependency, note: Callable[[Address], str | None]) -> None:
    """Raises NotFound if there is no such task to wait for; `note` returns the message about one that was pruned."""
    address = dependency.address
    assert address is not None
    if not exists(reading, address):
        why = note(address) or "no such task"
        raise NotFound(f"{option(dependency)} '{address}': {why}")


def _note(write: Transaction) -> Callable[[Address], str | None]:
    return lambda address: pruned.note(write, address) if address.session == write.session else None


def exists(reading: Reading, address: Address) -> bool:
    """Whether there is such a task."""
    return bool(reading.ask("dependencies.exists", address._asdict()))


def find(reading: Reading, address: Address) -> list[Found]:
    """The status of everything that a task waits for."""
    from agentq_cli.policy.dependencies import Found

    return [
        Found(
            Dependency(Address(session, seq), Condition(on)),
            None if status is None else Status(status),
            None if root is None else rows.address(root),
            key or None,
        )
        for session, seq, on, status, root, key in reading.ask("dependencies.of", address._asdict())
    ]


def known(reading: Reading, task: Task) -> list[Found]:
    """The same for a task that may wait for nothing."""
    return find(reading, task.address) if task.work.after else []


def waits(reading: Reading, task: Task) -> bool:
    """Whether a task that is about to be queued must wait: a dependency is undecided, and none has failed.

    If one has failed, a person who runs the task anyway knows better.
    """
    from agentq_cli.policy import dependencies as policy

    if not task.work.after:
        return False
    verdict, _ = policy.decide(find(reading, task.address), "cancel")
    return verdict is policy.Verdict.WAIT


def stopped_behind(reading: Reading, address: Address, cause: Address) -> list[Address]:
    """The tasks of its session, waiting for this one, that the failure of `cause` has stopped."""
    values = address._asdict() | {"cause": str(cause)}
    return [Address(address.session, seq) for (seq,) in sorted(reading.ask("dependencies.stopped_behind", values))]


def live_dependent(reading: Reading, address: Address) -> Address | None:
    """A live task that waits for this one, or is about to be stored and will; None if there is none."""
    found = reading.ask("dependencies.live_dependent", address._asdict())
    return Address(*found[0]) if found else None


def forget(write: Transaction, address: Address) -> None:
    """Remove from the index a task's dependencies, both ways; the task is being removed."""
    write.tell("dependencies.forget", address._asdict())
    write.tell("dependencies.forget_target", address._asdict())


def changed(write: Transaction, seq: int) -> None:
    """Settle everything that waits for a task that has ended or been reopened, and so on."""
    write.unsettled.append(seq)
    if len(write.unsettled) > 1:
        return  # the loop below, further up the stack, reaches it
    while write.unsettled:
        address = Address(write.session, write.unsettled[0])
        found = sorted({*write.ask("dependencies.dependents", address._asdict())})
        write.dependents += len(found)
        for session, dependent in found:
            if session == write.session:
                settle(write, dependent)
            else:
                write.settle_elsewhere(session, dependent)
        write.unsettled.pop(0)


def settle(write: Transaction, seq: int) -> Task | None:
    """Do what the dependencies of a task require now; None if nothing."""
    from agentq_cli.policy import dependencies as policy

    try:
        task = write.task(seq)
    except NotFound:
        return None  # staged, and settled when it is released
    found = find(write, task.address)
    if task.dep_failed is not None and task.status in (Status.CANCELLED, Status.PAUSED):
        return None if policy.failed(found) else _reopen(write, task)
    if task.status is Status.BLOCKED or (task.status is Status.PAUSED and task.work.after):
        return _decide(write, task, found)
    return None


def _decide(write: Transaction, task: Task, found: Sequence[Found]) -> Task | None:
    from agentq_cli.policy import dependencies as policy
    from agentq_cli.policy.dependencies import Verdict

    verdict, cause = policy.decide(found, task.work.on_dep_failure)
    if verdict is Verdict.GO and task.status is Status.BLOCKED:
        after = lines.follow(replace(task, status=Status.QUEUED, reason=None), found)
        write.save(task, after, event="release")
        return after
    if verdict is Verdict.CANCEL:
        assert cause is not None
        after = replace(
            task, status=Status.CANCELLED, ended_at=write.now, reason=policy.reason(cause), dep_failed=cause
        )
        write.save(task, after, event="cancel")
        return after
    if verdict is Verdict.HOLD and task.status is Status.BLOCKED:
        assert cause is not None
        after = replace(task, status=Status.PAUSED, reason=policy.reason(cause), dep_failed=cause)
        write.save(task, after, event="pause")
        return after
    return None


def _reopen(write: Transaction, task: Task) -> Task | None:
    """The task waits again, because the dependency that had stopped it was retried."""
    if task.work.key is not None and task.status.ended:
        holder = keys.holder(write, task.work.key)
        if holder is not None:
            why = f"{task.dep_failed} was retried, but {holder} holds the key now"
            write.save(task, replace(task, dep_failed=None), event=None)
            write.record("not_reopened", task.seq, before=task.status, after=task.status, reason=why)
            return None
    again = replace(
        task,
        status=Status.BLOCKED,
        reason=None,
        dep_failed=None,
        ended_at=None,
        cancel_requested=False,
    )
    write.save(task, again, event="reopen", reason=f"{task.dep_failed} was retried")
    return _decide(write, again, find(write, again.address)) or again
