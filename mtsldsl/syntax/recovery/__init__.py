"""What can be read of a text that does not parse, and every mistake in its writing: the one door to this folder."""

from mtsldsl.syntax.recovery.conflict_markers import our_side, unresolved
from mtsldsl.syntax.recovery.recovered import Recovered, recover
from mtsldsl.syntax.recovery.salvage import headed

__all__ = ["Recovered", "headed", "our_side", "recover", "unresolved"]
