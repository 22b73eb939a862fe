"""Learned parameter allocation: every task learns which of a layer's alternatives it uses."""
