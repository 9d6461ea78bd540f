"""Man pages and shell completions, generated from the application; never imported by a command."""
