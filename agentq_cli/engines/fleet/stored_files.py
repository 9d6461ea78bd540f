"""What is known of a run from its files, wherever those are."""

from __future__ import annotations

from agentq_cli.base.json_text import loads
from agentq_cli.engines.fleet.chunks import CHECKPOINT, PROMPT, STAGE, TREE
from agentq_cli.engines.fleet.output import StoredOutput
from agentq_cli.host import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agentq_cli.engines.fleet.logs import Logs
    from agentq_cli.host.run_directory import RunDirectory
    from agentq_cli.model.addresses import RunId
    from agentq_cli.model.checkpoints import Checkpoint
    from agentq_cli.model.trees import Made


class Files:
    """Of one run; on its own host they are its files. Where they are is asked once, when it is first needed."""

    def __init__(self, logs: Logs, run: RunId) -> None:
        self._logs = logs
        self._run = run
        self._known: RunDirectory | None = None
        self._asked = False

    @property
    def _directory(self) -> RunDirectory | None:
        if not self._asked:
            self._asked = True
            self._known = self._logs.here.run(self._run) if self._logs.is_here(self._run) else None
        return self._known

    @property
    def path(self) -> str | None:
        here = self._directory
        return None if here is None else here.path

    def prompt(self) -> str | None:
        here = self._directory
        if here is not None:
            return here.prompt()
        found = self._stored(PROMPT)
        return found.decode(errors="replace") if found else None

    def checkpoint(self) -> Checkpoint | None:
        here = self._directory
        if here is not None:
            return here.checkpoint()
        document = self._document(CHECKPOINT)
        return None if document is None else records.read_checkpoint(document)

    def made(self) -> Made | None:
        here = self._directory
        if here is not None:
            return here.made()
        document = self._document(TREE)
        return None if document is None else records.read_made(document)

    def stage(self) -> str | None:
        here = self._directory
        if here is not None:
            return here.stage()
        return self._stored(STAGE).decode() or None

    def pid(self) -> int | None:
        here = self._directory
        if here is not None:
            return here.pid()
        found = self._logs.reading.ask("output.live", self._run._asdict())
        return found[0][0] if found else None

    def _stored(self, name: str) -> bytes:
        from agentq_cli.engines.fleet.logs import StoredStream

        return b"".join(StoredOutput(StoredStream(self._logs, self._run, name)).whole())

    def _document(self, name: str) -> dict[str, Any] | None:
        """As `record_files.load`."""
        text = self._stored(name)
        if not text:
            return None
        try:
            found = loads(text.decode())
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}
