"""Rooms that are rendered on the spot."""
