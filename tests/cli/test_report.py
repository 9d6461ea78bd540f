"""`report` as a real process, and the page in a real browser."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import struct
import subprocess
import zlib
from pathlib import Path

import pytest
from driven import Driven

EVIL = "</style><script>document.title='owned'</script><img src=x onerror=alert(1)>\"'\x1b[2J"


@pytest.fixture(scope="module")
def worked(shared: Driven) -> Driven:
    """Some runs, one of them with hostile words in all that it says."""
    shared.exec("sh", "-c", "exit 3", given=["--retries", "0"])
    shared.exec("true", given=["-s", "docs"])
    shared.submit("--agent", "demo", EVIL)
    shared.drain(code=1)
    shared.exec("true", EVIL)
    shared.drain()
    return shared


def test_the_page_is_written_whole_private_and_over_what_was_there(worked: Driven, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("old")
    path.chmod(0o644)
    assert worked("report", "--html", str(path)).stdout == f"{path}: 4 runs, 1 failed\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    assert text.startswith("<!DOCTYPE html>")
    assert text.endswith("</html>\n")
    for word in ("default/1.1", "docs/1.1", "exit code 3", "Failures one by one", "demo answer to: ", "&lt;script&gt;"):
        assert word in text
    assert "<script" not in text
    assert "<img" not in text
    assert os.listdir(tmp_path) == ["page.html"]


def test_a_link_is_followed_and_a_pipe_written_into(worked: Driven, tmp_path: Path) -> None:
    (tmp_path / "link.html").symlink_to(tmp_path / "there.html")
    worked("report", "--html", str(tmp_path / "link.html"))
    assert (tmp_path / "link.html").is_symlink()
    assert (tmp_path / "there.html").read_text().endswith("</html>\n")
    whole = worked("report", "--html", "-").stdout
    assert whole.endswith("</html>\n")
    assert worked("report", "--html", "/dev/stdout").stdout.startswith("<!DOCTYPE html>")


def test_its_json_says_what_was_written(worked: Driven, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    found = worked.json("report", "--html", str(path))
    assert found["schema"] == "agentq.report/1"
    assert (found["path"], found["bytes"]) == (str(path), path.stat().st_size)
    assert (found["runs"], found["failed"], found["left_out_of_timeline"]) == (4, 1, 0)
    assert worked.json("report", "--html", str(path), "-s", "docs")["runs"] == 1
    assert worked.json("report", "--html", str(path), "--since", "2999-01-01")["runs"] == 0
    assert "Nothing ran." in path.read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--html", "."), 2, "is a directory"),
        (("--html", "no/such/place.html"), 2, "no such directory"),
        (("--html", "x.html", "-s", "dosc"), 3, "did you mean 'docs'?"),
    ],
)
def test_what_it_refuses(worked: Driven, arguments: tuple[str, ...], code: int, words: str) -> None:
    assert words in worked.refused("report", *arguments, code=code)
    assert not (worked.home / "x.html").exists()


def test_without_a_page_it_is_a_summary_to_read(worked: Driven) -> None:
    text = worked("report").stdout
    head, counted, *_ = text.splitlines()
    assert head.startswith("agentq: all runs, as of ")
    assert re.fullmatch(r"4 runs: 3 succeeded, 1 failed; \S+ in runs, cost <?\$\S+", counted)
    failures, _, runs = text.partition("Failures:\n")[2].partition("\n\nRuns:\n")
    (failure,) = (line for line in failures.splitlines() if not line.startswith(" "))
    assert re.fullmatch(r"default/1\.1  \S+ \S+  error  \S+  –  sh -c 'exit 3'", failure)
    assert "    exit code 3" in failures
    listed = [line.split()[0] for line in runs.splitlines() if not line.startswith(" ")]
    assert sorted(listed) == ["default/1.1", "default/2.1", "default/3.1", "docs/1.1"]
    assert "    demo agent (no model was asked): demo answer to: " in runs
    assert "\x1b" not in text
    found = worked.json("report", "-s", "docs")
    assert (found["path"], found["bytes"], found["runs"]) == (None, None, 1)


def test_each_run_has_the_title_that_it_ran_under_and_the_reason_of_its_end(aq: Driven) -> None:
    aq.submit("--agent", "demo", "-s", "talk", "One")
    aq.drain()
    aq("reply", "talk/1", "Two")
    aq.drain()
    aq.submit("--agent", "demo", "-s", "bad", "--retries", "0", "fail 3")
    aq.drain(code=1)
    lines = aq("report").stdout.splitlines()
    titles = {line.split()[0]: line.split("  ")[-1] for line in lines if line.startswith(("talk/", "bad/"))}
    assert titles == {"talk/1.1": "One", "talk/1.2": "Two", "bad/1.1": "fail 3"}
    failed = lines.index(next(line for line in lines if line.startswith("bad/1.1")))
    assert lines[failed + 1].strip() == aq.items("runs", "bad/1")[0]["error"]
    items = {item["id"]: item["title"] for item in aq.json("report")["items"]}
    assert items == titles
    assert {item["id"]: item["work"] for item in aq.json("top")["ended"]} == titles


def test_its_json_has_the_failures_and_the_runs_one_by_one(worked: Driven) -> None:
    found = worked.json("report")
    (failure,) = found["failures"]
    assert (failure["id"], failure["title"], failure["status"]) == ("default/1.1", "sh -c 'exit 3'", "error")
    assert (failure["cost_usd"], failure["answer"]) == (None, ["exit code 3"])
    items = {item["id"]: item for item in found["items"]}
    assert set(items) == {"default/1.1", "default/2.1", "default/3.1", "docs/1.1"}
    asked = items["default/2.1"]
    assert asked["cost_usd"] > 0
    assert asked["answer"][0].startswith("demo agent (no model was asked): demo answer to: ")


def test_a_cost_that_nobody_told_is_a_question_mark_everywhere(aq: Driven, tmp_path: Path) -> None:
    program = tmp_path / "claude"
    final = {"type": "result", "subtype": "success", "is_error": False, "result": "fine"}
    program.write_text(f"#!/bin/sh\ncat >/dev/null\necho '{json.dumps(final)}'\n")
    program.chmod(0o755)
    (tmp_path / "config.toml").write_text(f"[agents.claude]\nargv = ['{program}']\n")
    aq.agentq.environ["AGENTQ_CONFIG"] = str(tmp_path / "config.toml")
    aq.submit("--agent", "claude", "Fix it")
    aq.exec("true")
    aq.drain()
    page = tmp_path / "page.html"
    aq("report", "--html", str(page))
    text = page.read_text()
    assert "<dt>Cost</dt><dd>?</dd>" in text
    assert "$" not in text.partition("<main>")[2]
    assert "cost ? (1 run said nothing about the cost)" in aq("report").stdout
    assert "Cost:     ?" in aq("stats").stdout
    counted = aq.json("stats")
    assert (counted["cost_usd"], counted["priced_runs"], counted["unpriced_runs"]) == (None, 0, 1)
    assert aq.json("report")["cost_usd"] is None
    aq.submit("--agent", "demo", "Say")
    aq.drain()
    assert re.search(r"cost <?\$\S+ \+ \? \(1 run said", aq("report").stdout)


def test_a_missing_state_dir_gives_an_empty_page_and_stays_missing(aq: Driven) -> None:
    assert "Nothing ran." in aq("report", "--html", "-").stdout
    assert not aq.state_dir.exists()


BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def picture(path: Path) -> tuple[int, int, set[bytes]]:
    """Width, height and colours of a PNG with 8 bits a channel."""
    data, at, packed = path.read_bytes(), 8, b""
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", body[:10])
        packed += body if kind == b"IDAT" else b""
        at += 12 + size
    assert (depth, colour) in ((8, 2), (8, 6))
    channels = 3 if colour == 2 else 4
    lines = zlib.decompress(packed)
    before = bytearray(width * channels)
    colours = set()
    for row in range(height):
        begin = row * (width * channels + 1)
        kind, line = lines[begin], bytearray(lines[begin + 1 : begin + 1 + width * channels])
        for n in range(len(line)):
            left = line[n - channels] if n >= channels else 0
            above, corner = before[n], before[n - channels] if n >= channels else 0
            estimate = left + above - corner
            nearest = min((left, above, corner), key=lambda value: abs(estimate - value))
            line[n] = (line[n] + (0, left, above, (left + above) // 2, nearest)[kind]) % 256
        colours |= {bytes(line[n : n + 3]) for n in range(0, len(line), channels)}
        before = line
    return width, height, colours


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium on PATH")
def test_a_browser_draws_it_light_dark_and_narrow_and_runs_nothing(worked: Driven, tmp_path: Path) -> None:
    assert BROWSER is not None
    path = tmp_path / "page.html"
    worked("report", "--html", str(path))

    def browse(*options: str) -> str:
        environ = os.environ | {"HOME": str(tmp_path)}
        command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/profile"]
        command += [*options, path.as_uri()]
        done = subprocess.run(command, capture_output=True, timeout=110, check=True, env=environ)
        return done.stdout.decode()

    tree = browse("--dump-dom")
    assert "<title>agentq: all runs</title>" in tree  # what the hostile prompt would have changed
    assert "&lt;script&gt;" in tree
    for name, options, back in (
        ("light", ["--window-size=600,500"], b"\xff\xff\xff"),
        ("dark", ["--window-size=600,500", "--blink-settings=preferredColorScheme=0"], b"\x0d\x11\x17"),
    ):
        shot = tmp_path / f"{name}.png"
        browse("--hide-scrollbars", f"--screenshot={shot}", *options)
        width, height, colours = picture(shot)
        assert (width, height) == (600, 500)
        assert back in colours
        assert len(colours) > 20
