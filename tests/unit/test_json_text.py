"""JSON without the `json` module reads and writes as that module does."""

from __future__ import annotations

import json
import subprocess
import sys
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentq_cli.base.json_text import dumps, encode, loads

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_a_value_is_written_and_read_as_by_the_standard_module(value: object) -> None:
    assert dumps(value) == encode(value) == json.dumps(value)
    assert loads(json.dumps(value)) == value
    assert loads(json.dumps(value, indent=1) + "\n") == value
    assert loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")) == value


@given(st.text() | st.text(alphabet='{}[],:"\\0123456789.eE+- \n\tnultrefasNIiy'))
def test_whatever_the_text_it_is_taken_or_refused_as_by_the_standard_module(text: str) -> None:
    try:
        expected = json.loads(text)
    except ValueError as error:
        with pytest.raises(type(error)) as refused:
            loads(text)
        assert str(refused.value) == str(error)
    else:
        assert repr(loads(text)) == repr(expected)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e400", "[NaN]", " 1 ", "", "[1] 2", "\ufeff1"])
def test_the_odd_ones_too(text: str) -> None:
    test_whatever_the_text_it_is_taken_or_refused_as_by_the_standard_module.hypothesis.inner_test(text)  # type: ignore[attr-defined]


def test_numbers_that_json_does_not_have_are_null_in_what_is_shown() -> None:
    assert encode({"a": [float("nan"), (float("inf"), 1.5)]}) == '{"a": [null, [null, 1.5]]}'
    assert encode(float("-inf")) == "null"


def test_any_mapping_is_an_object_and_what_is_no_value_is_refused() -> None:
    assert dumps(MappingProxyType({"a": "é"})) == '{"a": "\\u00e9"}'
    with pytest.raises(TypeError, match="not JSON serializable"):
        dumps({"a": object()})


def test_the_first_text_that_is_none_is_told_as_such_too() -> None:
    program = "from agentq_cli.base.json_text import loads\ntry: loads('{')\nexcept ValueError: print('refused')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "refused\n"
