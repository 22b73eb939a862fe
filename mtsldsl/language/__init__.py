"""What the language knows, as tables: kinds of values, blocks and their keys, targets, operators. No tree, no torch."""

from mtsldsl.language.constants import Constant, Named, Shape

__all__ = ["Constant", "Named", "Shape"]
