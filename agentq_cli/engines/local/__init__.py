"""The queue as SQLite files of one machine: the door (`queue`), its sub-doors, and the files behind them."""
