"""Several specifications side by side: how they differ, what they agree on, and one that has the changes of two."""
