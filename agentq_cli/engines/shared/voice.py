"""What agents request: how a request is carried out. How it is read is each engine's own."""

from __future__ import annotations

from agentq_cli.model.actions import Actor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentq_cli.engines.nouns import Answer
    from agentq_cli.engines.shared.given import Given
    from agentq_cli.engines.subdoors import Reschedule, Template
    from agentq_cli.options.requests import Refusal, Request


class Applying:
    """The requests of the sessions' agents."""

    def __init__(self, queue: Given) -> None:
        self._queue = queue

    def apply(
        self,
        session: str,
        message: str,
        request: Request | Refusal,
        *,
        template: Template,
        reschedule: Reschedule,
        max_queued: int,
    ) -> Answer | None:
        from agentq_cli.engines.steps import requests

        with self._queue.in_session(session, actor=Actor.AGENT, background=True) as write:
            answer = requests.apply(
                write, message, request, template=template, reschedule=reschedule, max_queued=max_queued
            )
        if answer is not None:
            self._queue.ring()
        return answer
