"""Output without end, in one line, and of bytes that are no text (case 32)."""

from __future__ import annotations

import sys
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


WAIT = 'touch "$HOME/flooded"; while [ ! -e "$HOME/go" ]; do sleep 0.02; done'


def test_an_adopted_run_keeps_within_its_bounds_and_is_readable_all_the_time(aq: Driven) -> None:
    """Nobody supervises it while most of it comes."""
    bounded(aq)
    script = (
        f'echo FIRST; {WAIT}; rm "$HOME/flooded" "$HOME/go"; yes 0123456789abcdef | head -c 102000000; echo MIDDLE;'
        f" {WAIT}; echo LAST"
    )
    aq.exec("sh", "-c", script)
    supervisor = aq.supervise()
    until(lambda: (aq.home / "flooded").exists(), what="start")
    aq.kill_hard(supervisor)
    (aq.home / "go").touch()
    until(lambda: not (aq.home / "go").exists(), what="the flood to begin")
    until(lambda: (aq.home / "flooded").exists(), what="the end of the flood")
    (run,) = aq.runs().values()
    path = Path(run["stdout_path"])
    until(lambda: on_disk(path) <= BOUND + 2 * MIB, what="the bound, with nobody there but the keeper")
    assert aq("logs", "1", "--tail", "1").stdout == "MIDDLE\n"
    adopting = aq.supervise("--drain")
    until(lambda: aq.runs()["default/1.1"]["adopted"], what="adoption")
    text = aq("logs", "1").stdout
    assert text.startswith("FIRST\n0123456789abcdef\n")
    assert 8 * MIB < len(text) < BOUND + MIB
    (aq.home / "go").touch()
    aq.ended(adopting, 0)
    (run,) = aq.runs().values()
    assert (run["status"], run["stdout_bytes"]) == ("success", 102_000_000 + len("FIRST\nMIDDLE\nLAST\n"))
    assert on_disk(path) <= BOUND + MIB
    assert aq("logs", "1", "--tail", "2").stdout == "MIDDLE\nLAST\n"


def test_one_line_of_fifty_megabytes(aq: Driven) -> None:
    bounded(aq)
    aq.exec("sh", "-c", f"head -c 50000000 /dev/zero | tr '\\0' x; {WAIT}")
    supervisor = aq.supervise("--drain")
    until(lambda: (aq.home / "flooded").exists(), what="flood")
    (run,) = aq.runs().values()
    until(lambda: on_disk(Path(run["stdout_path"])) <= BOUND + 2 * MIB, what="the bound, while it runs")
    for options in ((), ("--tail", "1"), ("--tail", "3")):
        text = aq("logs", "1", *options).stdout
        assert MIB < len(text) < BOUND + MIB, options
        assert set(text.replace("x", "")) <= set("\n[agentq: 0123456789 bytes cut here]"), options
    (aq.home / "go").touch()
    aq.ended(supervisor, 0)
    (run,) = aq.runs().values()
    assert (run["status"], run["stdout_bytes"]) == ("success", 50_000_000)
    assert on_disk(Path(run["stdout_path"])) <= BOUND + MIB
    document = aq.json("logs", "1")
    assert document["truncated"] is True
    assert 8 * MIB < document["stdout"].count("x") < BOUND


def test_a_cut_in_the_middle_of_characters_and_escapes_does_no_harm(aq: Driven) -> None:
    """The bound cuts at blocks of the disk, which are no multiple of these 11 bytes."""
    bounded(aq)
    program = (
        "import os, time, pathlib\n"
        "piece = '\u2603\\0\\x1b[2J\u20ac'.encode() * 100_000\n"
        "for _ in range(30): os.write(1, piece)\n"
        "home = pathlib.Path(os.environ['HOME'])\n"
        "(home / 'flooded').touch()\n"
        "while not (home / 'go').exists(): time.sleep(0.02)\n"
        "os.write(1, b'\\nend \\xe2')\n"
    )
    aq.exec(sys.executable, "-c", program)
    supervisor = aq.supervise("--drain")
    until(lambda: (aq.home / "flooded").exists(), what="flood")
    (run,) = aq.runs().values()
    until(lambda: on_disk(Path(run["stdout_path"])) <= BOUND + 2 * MIB, what="the bound, while it runs")
    text = aq("logs", "1").stdout
    assert not set(text) & set("\0\x1b\x07\r")
    assert text.count("☃") > 10_000
    (aq.home / "go").touch()
    aq.ended(supervisor, 0)
    document = aq.json("logs", "1")
    assert document["stdout"].endswith("\nend �")
    assert document["stdout"].count("�") <= 5
    assert document["truncated"] is True
    assert aq.runs()["default/1.1"]["stdout_bytes"] == 30 * 100_000 * 11 + 6


def test_what_comes_while_it_is_followed_is_harmless(aq: Driven) -> None:
    aq.exec("sh", "-c", f"printf 'one\\033[2J\\000\\342'; {WAIT}; printf '\\230\\203 two\\007\\n'")
    supervisor = aq.supervise("--drain")
    until(lambda: (aq.home / "flooded").exists(), what="its first output")
    follower = aq.start("logs", "1", "--follow", encoding="utf-8")
    assert follower.stdout is not None
    assert follower.stdout.read(3) == "one"
    (aq.home / "go").touch()
    rest = follower.stdout.read()
    assert follower.wait() == 0
    aq.ended(supervisor, 0)
    assert not set(rest) & set("\0\x1b\x07\r")
    assert "☃ two" in rest


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
