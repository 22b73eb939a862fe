"""Ways to learn which tasks share what, a folder for each."""
