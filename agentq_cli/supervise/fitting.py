"""Whether what waits fits this host, as a supervisor finds it by a look at the files that a task needs.

Only a queue with several hosts asks. Thousands of tasks may be for other hosts, so a verdict holds until one of the
looks that verdicts rest on finds something else; those are few, and taken again each second at most. What does not fit
is noted for all to see, once, and again now and then as long as that is so.
"""

from __future__ import annotations

import os
from itertools import islice

from agentq_cli.agents import profile as profiles
from agentq_cli.base import environment
from agentq_cli.base.clock import monotonic_ms
from agentq_cli.base.context import suppress
from agentq_cli.base.dataclass import dataclass
from agentq_cli.base.errors import Usage
from agentq_cli.model.addresses import Address
from agentq_cli.options.tree_options import base_task
from agentq_cli.policy import leases, placement
from agentq_cli.supervise import plan, variables
from agentq_cli.supervise.duty import Duty

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentq_cli.policy.order import Head
    from agentq_cli.policy.placement import Bound, Needs, Tie

LOOK_MS = 1_000
"""How often the same look is taken."""

ANEW_MS = placement.NOTED_MS // 2
"""How long a verdict holds at most, whatever the looks find."""

PATIENCE_MS = 1_000
"""How long something waits before it is noted: most of what is for another host starts there at once."""

MOST_NOTES = 500
"""How many notes are written at once; the others follow in the next rounds."""


@dataclass(slots=True)
class Look:
    """What was found of what tasks of an agent need, at a look for one of them (`head`)."""

    needs: Needs
    head: Head
    why: str | None


@dataclass(slots=True)
class Verdict:
    """Whether a head fits, and in which round that was last asked."""

    head: Head
    fits: bool
    asked: int


class Fitting:
    """What one supervisor has found of this host, and has noted."""

    def __init__(self, duty: Duty) -> None:
        self._duty = duty
        self._config = duty.config
        self._round = 0
        self._anew_at = self._looked_at = monotonic_ms()
        self._verdicts: dict[tuple[str, int], Verdict] = {}
        self._looks: dict[tuple[str, str], Look] = {}
        self._expected: dict[str, bool] = {}
        self._ran: dict[Address, Bound | None] = {}
        self._noted: dict[Address, tuple[str, int]] = {}
        self._to_note: dict[Address, tuple[str | None, int]] = {}

    def begin(self) -> None:
        """Begin a round: look again, as files and hosts come and go."""
        self._round += 1
        now = monotonic_ms()
        if self._config is not self._duty.config or now - self._anew_at >= ANEW_MS:
            self._config, self._anew_at = self._duty.config, now
            for found in (self._verdicts, self._looks, self._expected, self._ran, self._to_note):
                found.clear()
        # A look takes some microseconds: however many there are, that is a hundredth of the time.
        elif now - self._looked_at >= LOOK_MS * max(1, len(self._looks) // 1_000) and self._has_changed():
            self._verdicts.clear()
        else:
            return
        self._looked_at = now

    def _has_changed(self) -> bool:
        """Whether anything is not as it was at the last look."""
        changed = bool(self._ran)
        self._ran.clear()
        for look in self._looks.values():
            why = placement.obstacle(look.head.agent, look.needs, self._host(look.head, look.needs))
            changed, look.why = changed or why != look.why, why
        for key, before in list(self._expected.items()):
            self._expected[key] = self._duty.queue.placing.expected(key)
            changed = changed or self._expected[key] != before
        self._looked_at = monotonic_ms()
        return changed

    def fits(self, head: Head) -> bool:
        """Whether what a head needs is here."""
        if not head.needs:
            return True
        key = (head.session, head.seq)
        found = self._verdicts.get(key)
        if found is not None and found.head is head:
            found.asked = self._round
            return found.fits
        why = self._obstacle(head)
        self._verdicts[key] = Verdict(head, why is None, self._round)
        self._note(Address(*key), why)
        return why is None

    def passed_over(self, session: str, agent: str) -> bool:
        """Whether something of an agent in a session did not fit in this round."""
        return any(
            (each.head.session, each.head.agent) == (session, agent) and each.asked == self._round
            for each in self._verdicts.values()
            if not each.fits
        )

    def moments(self) -> list[int]:
        """When to ask again: whether something still waits, to note it; and as long as something does not fit, whether
        it does by now, as its host has left (monotonic)."""
        now = monotonic_ms()
        moments = (since + PATIENCE_MS for why, since in self._to_note.values() if why)
        found = list(islice((moment for moment in moments if moment > now), 1))
        if any(not each.fits and each.asked == self._round for each in self._verdicts.values()):
            found.append(now + leases.renewal_ms(self._duty.config.fleet.lease_ms))
        return found

    def tell(self) -> None:
        """Write down what was passed over and still waits, and what fits by now."""
        if not self._to_note or not self._duty.guard.may_run(None, "unfit"):
            return
        now = monotonic_ms()
        due = ((address, why) for address, (why, since) in self._to_note.items() if self._is_due(address, why, since))
        notes = dict(islice(due, MOST_NOTES))
        with self._duty.guard.guarding(None, "unfit"):
            if notes:
                self._duty.queue.placing.note([placement.PassedOver(*each, reason=notes[each]) for each in notes])
            for address, why in notes.items():
                del self._to_note[address]
                if why is None:
                    self._noted.pop(address, None)
                else:
                    self._noted[address] = why, now
        for address in [each for each, (_, at) in self._noted.items() if now - at >= placement.COUNTS_MS]:
            del self._noted[address]  # it no longer waits

    def _is_due(self, address: Address, why: str | None, since: int) -> bool:
        verdict = self._verdicts.get((address.session, address.seq))
        waits = verdict is not None and verdict.asked == self._round
        return why is None or (waits and monotonic_ms() - since >= PATIENCE_MS)

    def _note(self, address: Address, why: str | None) -> None:
        pending = self._to_note.pop(address, None)
        noted, at = self._noted.get(address, (None, 0))
        if why != noted or (why is not None and monotonic_ms() - at >= placement.NOTED_MS):
            since = monotonic_ms() if pending is None or pending[0] is None else pending[1]
            self._to_note[address] = why, since

    def _obstacle(self, head: Head) -> str | None:
        key = (head.agent, head.needs or "")
        look = self._looks.get(key)
        if look is None:
            needs = placement.read(key[1])
            why = placement.obstacle(head.agent, needs, self._host(head, needs))
            look = self._looks[key] = Look(needs, head, why)
        needs, why = look.needs, look.why
        if head.bound is None and not needs.may_be_tied:
            return why
        ties = list(self._ties(head, needs, placement.bound(head.bound)))
        return placement.obstacle(head.agent, needs, self._host(head, needs), ties) if ties else why

    def _ties(self, head: Head, needs: Needs, bound: Bound | None) -> Iterator[Tie]:
        """What keeps it on another host: what an earlier run of it left there, or else its session, and its base."""
        if needs.has_own and (ran := self._ran_on(Address(head.session, head.seq))) is not None:
            what = "its tree" if needs.continues is None else "its conversation"
            yield from self._tie(what, ran, strict=needs.continues is not None)
            return
        affinity = plan.affinity(head.session, self._duty.config)
        if bound is not None and placement.binds(affinity, needs):
            yield from self._tie(f"session '{head.session}'", bound, strict=affinity == placement.STRICT)
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

        def has_variable(name: str) -> bool:
            with suppress(Usage):
                return name in variables.known_here(self._duty.config, self._duty.environ)
            return False

        return placement.Host(self._duty.config.fleet.lacking, missing, os.path.isdir, os.path.exists, has_variable)

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
            path = variables.merged(own).get("PATH")
            if path is not None and environment.find_program(program, path, directory):
                return None
        return program
