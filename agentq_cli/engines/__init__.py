"""The engines of the queue, each behind the door (`door.py`)."""
