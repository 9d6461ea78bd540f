"""Lines of keys in TOML, which the parser itself does not tell."""

from __future__ import annotations

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from agentq_cli.config.lines import key_lines

TEXT = '''# a comment

top = 1
[defaults]   # more
"quoted key" = """
[not.a.header]
fake = 1
"""
list = [
  "[x]",  # y = 1
  'z = 2',
]
a.b.c = 3
[sessions."my.docs"]
inline = { p = 1, q = { r = 2 } }
[[array.of]]
k = 1
'''


def test_headers_keys_dotted_keys_and_values_over_several_lines() -> None:
    lines = key_lines(TEXT)
    assert lines["top",] == 3
    assert lines["defaults",] == 4
    assert lines["defaults", "quoted key"] == 5
    assert lines["defaults", "list"] == 9
    assert lines["defaults", "a", "b", "c"] == 13
    assert lines["sessions", "my.docs"] == 14
    assert lines["sessions", "my.docs", "inline", "q", "r"] == 15
    assert lines["array", "of", "k"] == 17
    assert not any("fake" in key or "y" in key or "z" in key for key in lines)


names = st.text("abc", min_size=1, max_size=3)
values = st.one_of(st.integers(0, 9).map(str), st.just('"""x\n[t]\ny = 1\n"""'), st.just("[\n1,\n2,\n]"))


@given(st.lists(st.tuples(names, names, values, st.integers(0, 2)), max_size=6, unique_by=lambda each: each[0]))
def test_the_named_line_is_where_the_key_stands(tables: list[tuple[str, str, str, int]]) -> None:
    text = "".join("\n" * gap + f"[{table}]\n{key} = {value}\n" for table, key, value, gap in tables)
    lines = key_lines(text)
    for table, key in ((table, key) for table, keys in tomllib.loads(text).items() for key in keys):
        assert text.splitlines()[lines[table, key] - 1].startswith(f"{key} = ")
