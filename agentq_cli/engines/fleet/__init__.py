"""The queue in PostgreSQL, over many machines."""
