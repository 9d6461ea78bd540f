"""The nouns of the contract as frozen values. Times are integer milliseconds UTC, durations milliseconds."""
