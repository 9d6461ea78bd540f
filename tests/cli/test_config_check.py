"""`config check`: everything that is wrong with the configuration, in the order of the file's lines."""

from __future__ import annotations

from driven import Driven

WRONG = """jbos = 3
default_agent = "nobody"
[agents.mine]
argv = "x"
[defaults]
timeout = "5 parsecs"
priority = 5
retries = -1
[sessions.docs]
agent = "noone"
[limits]
load = "high"
"""


def test_every_wrong_line_is_told(aq: Driven) -> None:
    path = aq.home / "config.toml"
    path.write_text(WRONG)
    environ = {"AGENTQ_CONFIG": str(path), "AGENTQ_JOBS": "many"}
    done = aq("config", "check", env=environ, code=2)
    places = [line.removeprefix(f"agentq: error: {path}:").partition(" ")[0] for line in done.stderr.splitlines()]
    assert places == ["1:", "2:", "4:", "6:", "8:", "10:", "12:", "agentq:"]
    assert done.stderr.splitlines()[-1].startswith("agentq: error: AGENTQ_JOBS 'many': ")
    document = aq.json("config", "check", env=environ, code=2)
    assert (document["schema"], document["code"], len(document["errors"])) == ("agentq.error/1", 2, 8)
    assert document["message"] == document["errors"][0]["message"]
    # Another command says the first one.
    assert len(aq("list", env=environ, code=2).stderr.splitlines()) == 1
    path.write_text('[agents.mine]\nreader = "none"\n[defaults]\nretries = 3\n')
    assert aq.refused("config", "check", env={"AGENTQ_CONFIG": str(path)}, code=2).startswith(
        f"agentq: error: {path}:1: "
    )
    path.write_text("[defaults]\nretries = 3\n")
    assert aq("config", "check", env={"AGENTQ_CONFIG": str(path)}).stdout == f"{path}: valid\n"
