"""Readings that a transaction needs as well."""

from __future__ import annotations

from agentq_cli.base.errors import NotFound
from agentq_cli.engines.steps import rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.engines.transaction import Reading
    from agentq_cli.model.addresses import Address, RunId
    from agentq_cli.model.runs import Run


def unknown_task(session: Reading, address: Address) -> NotFound:
    """The error about an address that an existing session does not have."""
    from agentq_cli.engines.steps import pruned

    hint = f"no such task; see `agentq list --all -s {address.session}`"
    return NotFound(f"task '{address}': {pruned.note(session, address) or hint}")


def run(reading: Reading, run_id: RunId) -> Run:
    """One attempt. Raises NotFound."""
    found = reading.ask("read.run", run_id._asdict())
    if not found:
        raise NotFound(f"run '{run_id}': no such run; see `agentq runs {run_id.address}`")
    return rows.run(found[0])
