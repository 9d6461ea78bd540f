"""agentq: runs coding agents and commands unattended, and proves afterwards what happened."""

__version__ = "0.1.0"
