"""git: its command line with limits, and on top of it what a repository, a branch and a tree are. Knows no queue."""
