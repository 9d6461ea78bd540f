"""The live screen of `agentq top`. `snapshot`, `panes` and `filtering` are free of it; the rest is textual's."""
