"""What is wrong, why a task waits, and what to do next."""
