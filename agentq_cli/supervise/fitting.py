"""Whether what waits fits this host, as a supervisor finds it: a look at the files that a task needs, once a round.

Only a queue with several hosts asks. What does not fit is passed over and noted for all to see, once, and again now and
then as long as that is so.
"""

from __future__ import annotations

import os

from agentq_cli.agents import profile as profiles
from agentq_cli.base import environment
from agentq_cli.base.clock import monotonic_ms
from agentq_cli.model.addresses import Address
from agentq_cli.options.tree_options import base_task
from agentq_cli.policy import placement
from agentq_cli.supervise import plan, variables
from agentq_cli.supervise.duty import Duty

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentq_cli.policy.order import Head
    from agentq_cli.policy.placement import Bound, Needs, Tie

MOST_NOTES = 500
"""How many notes are written at once; the others follow in the next rounds."""


class Fitting:
    """What one supervisor has found of this host in this round, and has noted in all rounds."""

    def __init__(self, duty: Duty) -> None:
        self._duty = duty
        self._looked: dict[tuple[str, str], tuple[Needs, str | None]] = {}
        self._expected: dict[str, bool] = {}
        self._ran: dict[Address, Bound | None] = {}
        self._unfit: set[tuple[str, str]] = set()
        self._noted: dict[Address, tuple[str, int]] = {}
        self._to_note: dict[Address, str | None] = {}

    def begin(self) -> None:
        """Look again at everything, as files come and go."""
        self._looked.clear()
        self._expected.clear()
        self._ran.clear()
        self._unfit.clear()

    def fits(self, head: Head) -> bool:
        """Whether what a head needs is here."""
        if head.needs is None:
            return True
        why = self._obstacle(head)
        self._note(Address(head.session, head.seq), why)
        if why is not None:
            self._unfit.add((head.session, head.agent))
        return why is None

    def passed_over(self, session: str, agent: str) -> bool:
        """Whether something of an agent in a session did not fit in this round."""
        return (session, agent) in self._unfit

    def tell(self) -> None:
        """Write down what was passed over, and what fits by now."""
        if not self._to_note or not self._duty.guard.may_run(None, "unfit"):
            return
        now = monotonic_ms()
        notes = dict(list(self._to_note.items())[:MOST_NOTES])
        with self._duty.guard.guarding(None, "unfit"):
            self._duty.queue.placing.note([placement.PassedOver(*each, reason=why) for each, why in notes.items()])
            for address, why in notes.items():
                del self._to_note[address]
                if why is None:
                    self._noted.pop(address, None)
                else:
                    self._noted[address] = why, now
        for address in [each for each, (_, at) in self._noted.items() if now - at >= placement.COUNTS_MS]:
            del self._noted[address]  # it no longer waits

    def _note(self, address: Address, why: str | None) -> None:
        self._to_note.pop(address, None)
        noted, at = self._noted.get(address, (None, 0))
        if why != noted or (why is not None and monotonic_ms() - at >= placement.NOTED_MS):
            self._to_note[address] = why

    def _obstacle(self, head: Head) -> str | None:
        key = (head.agent, head.needs or "")
        found = self._looked.get(key)
        if found is None:
            needs = placement.read(key[1])
            found = self._looked[key] = (needs, placement.obstacle(head.agent, needs, self._host(head, needs)))
        needs, why = found
        if head.bound is None and not needs.may_be_tied:
            return why
        ties = list(self._ties(head, needs, placement.bound(head.bound)))
        return placement.obstacle(head.agent, needs, self._host(head, needs), ties) if ties else why

    def _ties(self, head: Head, needs: Needs, bound: Bound | None) -> Iterator[Tie]:
        """What keeps it on another host."""
        affinity = plan.affinity(head.session, self._duty.config)
        if bound is not None and placement.binds(affinity, needs):
            yield from self._tie(f"session '{head.session}'", bound, strict=affinity == placement.STRICT)
        own = Address(head.session, head.seq)
        if needs.own_tree:
            yield from self._tie("its tree", self._ran_on(own))
        if needs.continues is not None:
            yield from self._tie("its conversation", self._ran_on(own), strict=True)
        if (base := base_task(needs.base, str)) is not None:
            yield from self._tie(f"the branch of {base}", self._ran_on(base))

    def _ran_on(self, address: Address) -> Bound | None:
        if address not in self._ran:
            self._ran[address] = self._duty.queue.placing.ran_on(address)
        return self._ran[address]

    def _tie(self, what: str, bound: Bound | None, *, strict: bool = False) -> Iterator[Tie]:
        if bound is None or bound.here:
            return
        if bound.key not in self._expected:
            self._expected[bound.key] = self._duty.queue.placing.expected(bound.key)
        yield placement.Tie(what, bound.name, here=False, there=self._expected[bound.key], strict=strict)

    def _host(self, head: Head, needs: Needs) -> placement.Host:
        def missing(agent: str) -> str | None:
            return self._missing_program(head, agent, needs.directory)

        return placement.Host(self._duty.config.fleet.lacking, missing, os.path.isdir, os.path.exists)

    def _missing_program(self, head: Head, agent: str, directory: str) -> str | None:
        """The program of an agent if it is not on this host: neither on this supervisor's PATH nor, if the task was
        submitted on this machine, on the one of its shell."""
        config, environ = self._duty.config, self._duty.environ
        if agent not in profiles.names(config):
            return agent
        program = profiles.program_of(config, agent)
        if environment.find_program(program, environ.get("PATH"), directory):
            return None
        candidate = self._duty.queue.candidate(head)
        if candidate is not None and candidate.environment is not None:
            task, profile = candidate.task, profiles.profile(config, agent)
            own = variables.given(task.work, task.session, candidate.environment, config, environ, profile)
            if "PATH" in own and environment.find_program(program, own["PATH"].value, directory):
                return None
        return program
