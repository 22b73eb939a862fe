"""How pictures of any size come to the size of the input: resized, then cropped."""

from __future__ import annotations

from typing import TypeAlias

import attrs

Size: TypeAlias = tuple[int, int]
"""Height and width."""


@attrs.frozen
class Fit:
    """First a picture is resized: `stretch` brings both sides to those of the input, whatever they are to each other;
    `cover` keeps them to each other, and gives the smallest picture that is nowhere smaller than the input. Then
    `center` cuts out the middle, of what is left over on two sides the larger half at the bottom and on the right."""

    resize: str = "none"
    crop: str = "none"

    @property
    def changes(self) -> bool:
        """Whether any picture may become another."""
        return self.resize != "none" or self.crop != "none"

    def resized(self, size: Size, wanted: Size) -> Size:
        """What the size of a picture is before it is cropped; a side that comes to a half is rounded up."""
        (height, width), (high, wide) = size, wanted
        if self.resize == "stretch":
            return wanted
        if self.resize == "none":
            return size
        if high * width >= wide * height:
            return high, max(wide, (2 * width * high + height) // (2 * height))
        return max(high, (2 * height * wide + width) // (2 * width)), wide

    def corner(self, size: Size, wanted: Size) -> Size:
        """The row and the column from which a picture that is resized already is cropped."""
        return (size[0] - wanted[0]) // 2, (size[1] - wanted[1]) // 2

    def fits(self, size: Size, wanted: Size) -> bool:
        """Whether a picture of that size comes to the one that is wanted."""
        height, width = self.resized(size, wanted)
        cropped = self.crop == "center" and height >= wanted[0] and width >= wanted[1]
        return cropped or (height, width) == wanted

    def remedy(self, size: Size, wanted: Size) -> str:
        """What to write in the block of the data where it does not."""
        if self.crop == "none" and attrs.evolve(self, crop="center").fits(size, wanted):
            return "write `crop = center` in `data`, or `resize = stretch`, or save it at that size"
        return "write `resize = cover` and `crop = center` in `data`, or `resize = stretch`, or save it at that size"


AS_IT_IS = Fit()
