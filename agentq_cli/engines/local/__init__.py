"""The queue as SQLite files of one machine: the door (`queue.py`) and its sub-doors, over `store/`."""
