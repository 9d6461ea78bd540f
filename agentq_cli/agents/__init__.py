"""The agent CLIs: a profile each, readers of what they print, and the verdict on a run."""
