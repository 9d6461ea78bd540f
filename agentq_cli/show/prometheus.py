"""The text format of Prometheus, as its textfile collector reads it.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

from agentq_cli.base.dataclass import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

Sample: TypeAlias = "tuple[str, Mapping[str, str], float]"
"""The ending of a name, labels, value."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric; `type` is counter, gauge or summary. Times are seconds."""

    name: str
    type: str
    help: str
    samples: Iterable[Sample]


def lines(metrics: Iterable[Metric]) -> Iterator[str]:
    """The lines of the metrics; one without a sample has none."""
    for metric in metrics:
        samples = list(metric.samples)
        if not samples:
            continue
        yield f"# HELP {metric.name} {_escaped(metric.help)}"
        yield f"# TYPE {metric.name} {metric.type}"
        for ending, labels, value in samples:
            pairs = ",".join(f'{name}="{label(text)}"' for name, text in labels.items())
            yield f"{metric.name}{ending}{f'{{{pairs}}}' if pairs else ''} {number(value)}"


def label(text: str) -> str:
    """The value of a label. Characters that would end it or the line are escaped; so are control characters and
    surrogates, which readers may reject."""
    plain = "".join(char if char == "\n" or (char >= " " and char != "\x7f") else "\ufffd" for char in text)
    return _escaped(plain.encode("utf-8", "replace").decode().replace("\x85", "\ufffd")).replace('"', '\\"')


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def number(value: float) -> str:
    """A value: whole ones without a fraction."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))
