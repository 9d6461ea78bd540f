"""The trees of tasks on this machine: their records, made for a run, its snapshot, landing, listings and removal."""
