"""The supervisor and the sweep: starting, watching, settling and recovering runs."""
