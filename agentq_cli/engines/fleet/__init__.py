"""The engine of the fleet: PostgreSQL, one row a task, for many machines. Loaded only with a URL."""
