"""What the tests of transcripts share: the recordings, and transcripts of bytes and of events.

`recordings.json.gz` holds what the real programs (Claude Code 2.1.197, Codex 0.169.0, Gemini CLI 0.61.0, opencode
1.18.33) printed to standard output in every ending that matters, by `cli/name`: `ok-*`, `err-*`, `usage-*`, `tool-*`,
`sig-*` and others, in every format that they have.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from agentq_cli.agents.reader import open_reader
from agentq_cli.agents.transcript import Transcript
from agentq_cli.agents.transcript_entries import Entry, Kind
from agentq_cli.agents.transcript_lines import lines

RECORDINGS: dict[str, bytes] = {
    name: said.encode("utf-8", "surrogateescape")
    for name, said in json.loads(gzip.decompress((Path(__file__).parent / "recordings.json.gz").read_bytes())).items()
}


def opened(cli: str, *, middle: bool = False) -> Transcript:
    """A transcript of that CLI."""
    reader = open_reader(cli)
    assert reader is not None
    return Transcript(reader, middle=middle)


def entries(cli: str, chunks: Iterable[bytes], *, middle: bool = False) -> list[Entry]:
    """The entries of a whole output."""
    return list(opened(cli, middle=middle).read(chunks))


def shown(cli: str, *chunks: bytes, middle: bool = False) -> list[str]:
    """The lines of a whole output."""
    return list(lines(entries(cli, chunks, middle=middle)))


def told(cli: str, *events: dict[str, Any]) -> list[str]:
    """The lines of an output with these events."""
    return shown(cli, "".join(json.dumps(event) + "\n" for event in events).encode())


def recorded(name: str) -> list[str]:
    """The lines of a recording."""
    return shown(name.partition("/")[0], RECORDINGS[name])


def spoken(found: Iterable[Entry]) -> str:
    """What the agent itself said."""
    return "\n".join(entry.text for entry in found if entry.kind is Kind.TEXT)
