"""The text format of Prometheus: the reference parser reads back what was written, whatever a label holds."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from agentq_cli.show.prometheus import Metric, label, lines

TEXT = st.text(max_size=30) | st.text(st.sampled_from('\\"\n{}=,# \r\x00\x1b\u2028ü'), max_size=12)
READABLE = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30)
NAMES = st.sampled_from(["session", "agent", "status"])
VALUES = st.floats() | st.integers(-(2**70), 2**70)


def parsed(text: str) -> list[tuple[str, str, str, list[tuple[str, dict[str, str], float]]]]:
    return [
        (f.name, f.type, f.documentation, [(s.name, s.labels, s.value) for s in f.samples])
        for f in text_string_to_metric_families(text)
    ]


@given(READABLE.map(str.strip), st.lists(st.tuples(st.dictionaries(NAMES, TEXT), VALUES), min_size=1, max_size=6))
def test_one_line_a_sample_with_its_value(help_: str, samples: list[tuple[dict[str, str], float]]) -> None:
    metric = Metric("agentq_x", "gauge", help_, [("", labels, value) for labels, value in samples])
    text = "".join(f"{line}\n" for line in lines([metric]))
    assert len(text.split("\n")) == len(samples) + 3
    ((name, kind, _, found),) = parsed(text)
    assert (name, kind, len(found)) == ("agentq_x", "gauge", len(samples))
    for (_, labels, value), (given_labels, given_value) in zip(found, samples, strict=True):
        assert set(labels) == set(given_labels)
        same = value == float(given_value) or (math.isnan(value) and math.isnan(given_value))
        assert same or math.isclose(value, given_value)


@given(st.dictionaries(NAMES, st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.just("\n"), max_size=30)))
def test_labels_come_back_as_they_were(labels: dict[str, str]) -> None:
    text = "\n".join(lines([Metric("agentq_x", "gauge", "x", [("", labels, 1)])]))
    assert parsed(text)[0][3] == [("agentq_x", labels, 1.0)]


def test_counters_and_summaries_are_of_their_type() -> None:
    summary = [("", {"quantile": "0.5"}, 0.25), ("_sum", {}, 1.5), ("_count", {}, 2.0)]
    text = "\n".join(
        lines([Metric("a_total", "counter", "a", [("", {}, 1e16)]), Metric("b_seconds", "summary", "b", summary)])
    )
    (a, b) = parsed(text)
    assert (a[0], a[1], a[3]) == ("a", "counter", [("a_total", {}, 1e16)])
    assert [sample[0] for sample in b[3]] == ["b_seconds", "b_seconds_sum", "b_seconds_count"]
    assert list(lines([Metric("c", "gauge", "c", [])])) == []


def test_what_no_reader_has_to_take_is_replaced() -> None:
    assert label("a\x00b\udc80\r") == "a\ufffdb?\ufffd"
