"""agentq's own event format, spoken by the demo agent and open to anybody's (`reader = "events"`).

JSON Lines on standard output; `event` says what a line is, other keys are ignored, other lines are just output:

* `{"event": "start", "conversation": ID}`: the id under which a later run can go on
* `{"event": "text", "text": …}`: something said on the way
* `{"event": "end", "ok": true, "result": ANY}` or `{"event": "end", "ok": false, "class": CLASS, "error": TEXT}`: the
  final event. Both may hold `tokens_in`, `tokens_out`, `cost_usd`; a failed one `conversation_lost: true`, and with the
  class `rate_limited` a `reset_at` (RFC 3339); without it, a time in the words of `error` counts.

CLASS is `error` (the default), `network`, `overloaded`, `rate_limited`, `auth`, `billing`, `config`, `denied`,
`context` or `budget`; the other failure classes are not the agent's to tell.
"""

from __future__ import annotations

from agentq_cli.agents.reader import LATEST_TIME, LONGEST_ERROR, Reader, Verdict, count, dollars, storable, text
from agentq_cli.model import FailureClass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CLASSES = frozenset(
    {
        FailureClass.ERROR,
        FailureClass.NETWORK,
        FailureClass.OVERLOADED,
        FailureClass.RATE_LIMITED,
        FailureClass.AUTH,
        FailureClass.BILLING,
        FailureClass.CONFIG,
        FailureClass.DENIED,
        FailureClass.CONTEXT,
        FailureClass.BUDGET,
    }
)


class EventsReader(Reader):
    """One run of an agent that speaks agentq's own events."""

    def event(self, event: dict[str, Any]) -> None:
        """Take one event."""
        kind = event.get("event")
        if kind == "start":
            self._saw_conversation(event.get("conversation"))
            self._final = None
        elif kind == "text":
            self._worked = True
        elif kind == "end":
            self._final = event
            self._worked = self._worked or bool(count(event.get("turns")) or count(event.get("tokens_out")))

    def verdict(self) -> Verdict:
        """What the final event says."""
        final = self._final
        if final is None:
            return Verdict(conversation=self.conversation)
        facts: dict[str, Any] = {
            "final": True,
            "conversation": self.conversation,
            "tokens_in": count(final.get("tokens_in")),
            "tokens_out": count(final.get("tokens_out")),
            "cost_usd": dollars(final.get("cost_usd")),
        }
        if final.get("ok") is True:
            result = final.get("result")
            return Verdict(**facts, ok=True, result=text(result) if isinstance(result, str) else storable(result))
        named = final.get("class")
        failure = FailureClass(named) if isinstance(named, str) and named in CLASSES else FailureClass.ERROR
        error = text(final.get("error"), LONGEST_ERROR) or "the agent reported a failure"
        limited = failure is FailureClass.RATE_LIMITED
        return Verdict(
            **facts,
            failure_class=failure,
            error=error,
            conversation_lost=final.get("conversation_lost") is True,
            reset_at=_moment(final.get("reset_at")) if limited else None,
            reset_said=error if limited else None,
        )


def _moment(value: object) -> int | None:
    """Milliseconds of an RFC 3339 time; None for anything else."""
    from datetime import datetime

    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        milliseconds = round(moment.timestamp() * 1000) if moment is not None and moment.tzinfo else None
    except (ValueError, OverflowError):
        return None
    return milliseconds if milliseconds is not None and 0 <= milliseconds <= LATEST_TIME else None
