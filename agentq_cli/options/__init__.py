"""The options of agentq: on its command line, in a batch, in the config, in an agent's request."""
