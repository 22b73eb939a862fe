"""Transference: which tasks help which, measured while they learn together."""
