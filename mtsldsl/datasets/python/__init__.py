"""One's own torch Dataset, whose samples are dicts."""
