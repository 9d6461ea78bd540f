"""How `submit --wait` and `submit --follow` stay until the tasks have ended."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from agentq_cli.commands import awaiting, reading, reasons, watching
from agentq_cli.engines.door import Queue
from agentq_cli.model.addresses import Address
from agentq_cli.model.tasks import Task
from agentq_cli.show import documents
from agentq_cli.show.results import Items, Output, Result, Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.cli.context import Context

MOST_NAMED = 5
"""The most addresses that a hint names."""


def wait(here: Context, queue: Queue, addresses: Sequence[Address], *, no_wake: bool) -> Result:
    """The result of --wait: the addresses at once, or with --json the tasks at the end. It makes no machine a host of a
    fleet."""
    wake_up = not no_wake and here.url is None
    ended: dict[Address, Task] = {}
    still_open: dict[Address, Task] = {}
    why = reasons.Reasons(queue, here.config)

    def items() -> Iterator[documents.Item]:
        with _told_of_ctrl_c(addresses):
            for _ in awaiting.until_ended(queue, addresses, ended, reasons=why, wake_up=wake_up):
                pass
        found = (ended[address] for address in addresses)
        yield from (documents.task(task, now=queue.now, waiting_for=None) for task in found)

    def checks() -> Iterator[documents.Item | None]:
        yield from ({"id": str(address)} for address in addresses)
        with _told_of_ctrl_c(addresses):
            for found in awaiting.until_ended(queue, addresses, ended, reasons=why, wake_up=wake_up):
                still_open.clear()
                still_open.update(found)
                yield None

    def exit_code() -> int:
        codes = [awaiting.code(ended[address]) for address in addresses]
        return codes[0] if len(codes) == 1 else int(any(codes))

    if here.as_json:
        return Items("tasks", items(), code=exit_code)
    live = watching.live_wait(queue, still_open, why, ended=ended)
    return Stream("tasks", checks(), lambda item: str(item["id"]), code=exit_code, live=live)


def follow(here: Context, queue: Queue, address: Address, new: bool, *, no_wake: bool) -> Result:
    """The result of --follow: the address, then what its runs say and do."""
    wake_up = not no_wake and here.url is None
    why = reasons.Reasons(queue, here.config)
    ended: list[Task] = []

    def pieces(width: int | None) -> Iterator[tuple[str, bytes]]:
        yield "stdout", f"{address}\n".encode()
        with _told_of_ctrl_c([address]):
            task = yield from awaiting.output_until_ended(
                queue,
                address,
                new=new,
                wake_up=wake_up,
                reasons=why,
                read=lambda run: reading.reading(queue, lambda: here.config, run, width),
            )
        ended.append(task)

    return Output(pieces, code=lambda: awaiting.code(ended[0]))


@contextlib.contextmanager
def _told_of_ctrl_c(addresses: Sequence[Address]) -> Iterator[None]:
    """Tell a person who stops waiting with Ctrl-C that the work stays in the queue, and how to end it."""
    try:
        yield
    except KeyboardInterrupt:
        names = " ".join(map(str, addresses)) if len(addresses) <= MOST_NAMED else "ID…"
        raise KeyboardInterrupt(f"what was submitted stays in the queue; `agentq cancel {names}` ends it") from None
