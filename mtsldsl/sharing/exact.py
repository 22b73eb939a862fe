"""How many tasks are grouped by the exact search of `grouping`; apart from it, so that a spec is read without numpy."""

from __future__ import annotations

EXACT_TASKS = 18
"""Up to so many tasks the grouping is proven optimal, where no other number is asked for; beyond, a local search."""

MOST_EXACT_TASKS = 20
"""The largest number that can be asked for: time and memory grow threefold and twofold with every task."""

LEAST_EXACT_TASKS = 2
"""The smallest number that can be asked for; fewer tasks have nothing to decide."""
