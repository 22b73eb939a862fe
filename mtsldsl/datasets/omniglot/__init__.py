"""Omniglot: characters of fifty alphabets."""
