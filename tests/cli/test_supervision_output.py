"""Output without end, in one line, and of bytes that are no text (case 32)."""

from __future__ import annotations

from pathlib import Path

from driven import Driven, until

MIB = 1 << 20
BOUND = 16 * MIB


def on_disk(path: Path) -> int:
    return path.stat().st_blocks * 512


def bounded(aq: Driven) -> None:
    config = aq.home / "config.toml"
    config.write_text(f'[limits]\noutput_bytes = "{BOUND // MIB}MiB"\n')
    aq.agentq.environ["AGENTQ_CONFIG"] = str(config)


def test_a_hundred_megabytes_are_kept_within_bounds_and_readable_while_they_come(aq: Driven) -> None:
    bounded(aq)
    script = (
        "echo FIRST; yes 0123456789abcdef | head -c 102000000; echo MIDDLE; "
        'touch "$HOME/flooded"; while [ ! -e "$HOME/go" ]; do sleep 0.02; done; echo LAST'
    )
    aq.exec("sh", "-c", script)
    supervisor = aq.supervise("--drain")
    until(lambda: (aq.home / "flooded").exists(), what="flood")
    (run,) = aq.runs().values()
    path = Path(run["stdout_path"])
    assert aq("logs", "1", "--tail", "1").stdout == "MIDDLE\n"
    until(lambda: on_disk(path) <= BOUND + 2 * MIB, what="the bound, while it runs")
    (aq.home / "go").touch()
    aq.ended(supervisor, 0)
    (run,) = aq.runs().values()
    assert (run["status"], run["stdout_bytes"]) == ("success", 102_000_000 + len("FIRST\nMIDDLE\nLAST\n"))
    assert on_disk(path) <= BOUND + MIB
    text = aq("logs", "1").stdout
    lines = text.splitlines()
    assert (lines[0], lines[-2], lines[-1]) == ("FIRST", "MIDDLE", "LAST")
    (cut,) = [line for line in lines if line.startswith("[agentq: ")]
    assert "cut" in cut
    assert 8 * MIB < len(text) < BOUND + MIB
    document = aq.json("logs", "1", "--tail", "2")
    assert (document["truncated"], document["stdout"]) == (True, "MIDDLE\nLAST\n")


def test_one_line_of_fifty_megabytes(aq: Driven) -> None:
    bounded(aq)
    aq.exec("sh", "-c", "head -c 50000000 /dev/zero | tr '\\0' x")
    aq.drain()
    (run,) = aq.runs().values()
    assert (run["status"], run["stdout_bytes"]) == ("success", 50_000_000)
    assert on_disk(Path(run["stdout_path"])) <= BOUND + MIB
    assert set(aq("logs", "1").stdout) >= {"x"}


def test_bytes_that_are_no_text(aq: Driven) -> None:
    """Split UTF-8, NUL, escapes: kept as they are, harmless when shown, valid JSON."""
    aq.exec("printf", r"a\000b\033[31mred\007\r\nsplit \342\230")
    aq.exec("sh", "-c", r"printf '\342'; sleep 0.05; printf '\230\203'; printf '\377err\033[2J' >&2")
    aq.drain()
    runs = aq.runs()
    assert Path(runs["default/1.1"]["stdout_path"]).read_bytes() == b"a\0b\x1b[31mred\x07\r\nsplit \xe2\x98"
    shown = aq("logs", "1").stdout
    assert not set(shown) & set("\0\x1b\x07\r")
    assert "red" in shown
    assert "split" in shown
    document = aq.json("logs", "default/1.1")
    assert document["stdout"] == "a\0b\x1b[31mred\x07\r\nsplit �"
    assert (document["run"], document["stderr"], document["truncated"]) == ("default/1.1", "", False)
    document = aq.json("logs", "2")
    assert (document["stdout"], document["stderr"]) == ("☃", "�err\x1b[2J")
    assert runs["default/2.1"]["stderr_bytes"] == 8
