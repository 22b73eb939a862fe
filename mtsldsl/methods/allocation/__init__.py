"""Learned parameter allocation: every task learns which of a layer's alternatives it uses.

Maziarz, Kokiopoulou, Gesmundo, Sbaiz, Bartok, Berent: Flexible Multi-task Networks by Learning Parameter Allocation,
2019, arXiv 1910.04915.
"""
