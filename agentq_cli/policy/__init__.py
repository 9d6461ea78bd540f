"""The rules, as pure functions: order, retries, schedules, gates, dependencies. They read no clock and no file."""
