"""Constants that small processes need as well as large ones. Imports nothing."""

AGENT_CLIS = ("claude", "codex", "gemini", "opencode")
"""The agents that are searched for on PATH if a prompt names none."""

BUILT_IN = (*AGENT_CLIS, "demo")
"""The agents that need no configuration; `demo` only pretends to be one."""

INTERRUPTED = 130
TERMINATED = 143
"""The exit codes of a command that SIGINT or SIGTERM ended: 128 plus the signal number, as in shells."""

BUSY_MS = 15_000
"""How long a command waits for a lock."""

RETRIES = 5
"""The default of `--retries`."""

CHECK_RETRIES = 3
"""The same after a failed check."""

CHECK_TIMEOUT_MS = 600_000
"""The default of `--check-timeout`."""

SETUP_TIMEOUT_MS = 600_000
"""How long `--setup` may take."""

MAX_BACKOFF_MS = 300_000
"""The default of `--max-backoff`."""

MAX_QUEUED = 100_000
"""The default of `max_queued`."""

START_ONE = "start `agentq run`, or let systemd or cron do it: `agentq service install`"
NOBODY_THERE = f"no supervisor is running: {START_ONE}"
"""The hint after queueing work that nothing will start."""

TREES = "trees"
"""The directory of the trees in a state dir, unless the config names another. It is made with the first task that wants
a tree."""
