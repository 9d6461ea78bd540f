"""What can be given to agentq: on its command line, in a batch, in the config, by an agent."""
