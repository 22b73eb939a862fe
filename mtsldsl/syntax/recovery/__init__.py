"""What can be read of a text that does not parse, and every mistake in its writing: the one door to this folder.

It is used at three moments: before a text is parsed, where it has conflict markers (`unresolved`, `our_side`, which a
merge needs too); where it does not parse (`recover`); and where it does, but its first line is misspelt (`headed`).
"""

from mtsldsl.syntax.recovery.conflict_markers import our_side, unresolved
from mtsldsl.syntax.recovery.partial_tree import headed
from mtsldsl.syntax.recovery.recovered import Recovered, recover

__all__ = ["Recovered", "headed", "our_side", "recover", "unresolved"]
