"""Structural learning: how a run changes which tasks share which layers. One module per method, one per ingredient."""
