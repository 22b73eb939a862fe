"""One's own pictures in a folder."""
