"""Whether one more agent may start now. Pure: counts in, the gate that holds out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate as `workers` shows it: whether it holds new starts back, and its numbers."""

    name: str
    holding: bool
    detail: str


def cap(workers: int, jobs: int) -> Gate:
    """The cap: live workers of the whole state dir against the starting supervisor's `-j`."""
    return Gate("cap", workers >= jobs, f"{workers} of {jobs} slots in use")
