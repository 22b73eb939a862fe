"""One's own arrays in an `.npz` file."""
