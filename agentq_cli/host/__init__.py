"""A run on this machine: launcher, shim, processes, records, output, bells. Knows no queue."""
