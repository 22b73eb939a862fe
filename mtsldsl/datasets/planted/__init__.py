"""Tasks on rows of numbers of which it is known who is related to whom."""
