"""What everything else stands on: clock, errors, names, processes, the environment. It imports nothing else."""
