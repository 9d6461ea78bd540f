"""agentq's own event format, which the demo agent uses and any other agent may (`reader = "events"`).

JSON Lines on standard output. `event` gives the kind of a line; other keys are ignored, and other lines are plain
output:

* `{"event": "start", "conversation": ID}`: the id with which a later run can continue the conversation
* `{"event": "text", "text": …}`: something the agent said along the way
* `{"event": "end", "ok": true, "result": ANY}` or `{"event": "end", "ok": false, "class": CLASS, "error": TEXT}`: the
  final event. Both may hold `tokens_in`, `tokens_out`, `cost_usd`, `turns`. A failed one may hold
  `conversation_lost: true` and, with the class `rate_limited`, a `reset_at` (RFC 3339); without `reset_at`, a time in
  the text of `error` counts.

CLASS is `error` (the default), `network`, `overloaded`, `rate_limited`, `auth`, `billing`, `config`, `denied`,
`context` or `budget`; an agent cannot report the other failure classes.
"""

from __future__ import annotations

from agentq_cli.agents.reader import LATEST_TIME, LONGEST_ERROR, Reader, Verdict, count, dollars, storable, text
from agentq_cli.model.statuses import FailureClass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agentq_cli.agents.transcript_entries import Told

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
    """Reads one run of an agent that uses agentq's own events."""

    def event(self, event: dict[str, Any]) -> None:
        """Process one event."""
        kind = event.get("event")
        if kind == "start":
            self._saw_conversation(event.get("conversation"))
            self._final = None
        elif kind == "text":
            self._worked = True
        elif kind == "end":
            self._final = event
            self._worked = self._worked or bool(count(event.get("turns")) or count(event.get("tokens_out")))

    def tell(self, event: dict[str, Any], told: Told) -> bool:
        """Tell what an event says. The final event may repeat the last text."""
        kind = event.get("event")
        if kind == "text":
            told.text(event.get("text"))
        elif kind == "end":
            verdict = self.verdict()
            told.end(verdict, verdict.result)
        return kind in ("start", "text", "end")

    def verdict(self) -> Verdict:
        """The verdict from the final event."""
        final = self._final
        if final is None:
            return Verdict(conversation=self.conversation)
        facts: dict[str, Any] = {
            "final": True,
            "conversation": self.conversation,
            "tokens_in": count(final.get("tokens_in")),
            "tokens_out": count(final.get("tokens_out")),
            "cost_usd": dollars(final.get("cost_usd")),
            "turns": count(final.get("turns")),
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
    """An RFC 3339 time as milliseconds; None for anything else."""
    from datetime import datetime

    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        milliseconds = round(moment.timestamp() * 1000) if moment is not None and moment.tzinfo else None
    except (ValueError, OverflowError):
        return None
    return milliseconds if milliseconds is not None and 0 <= milliseconds <= LATEST_TIME else None
