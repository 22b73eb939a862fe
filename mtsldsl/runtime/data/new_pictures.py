"""New pictures, given to networks as those of training were: looked at first, read when their batch comes."""

from __future__ import annotations

from pathlib import Path

import attrs
import torch
from torch import Tensor

from mtsldsl.diagnostics import MtlError
from mtsldsl.folders.picture_fit import Fit
from mtsldsl.runtime.data.batches import widen
from mtsldsl.runtime.data.fields import FieldKind
from mtsldsl.runtime.data.parallel_reading import Processes
from mtsldsl.runtime.data.pictures import as_tensor, picture, require_picture

_AT_ONCE = 16
"""Pictures that are looked at together."""


@attrs.frozen(eq=False)
class NewPictures:
    """Files, each the picture of one sample, and how `picture` reads them, as the input `name`."""

    files: tuple[Path, ...]
    name: str
    kind: FieldKind
    shape: tuple[int, int, int]
    resize: bool
    fit: Fit | None
    ink: bool

    def read(self, numbers: range) -> dict[str, Tensor]:
        """The pictures of these numbers, stacked. Raises MTL602 for the first that cannot be used."""
        return {self.name: torch.cat([self._tensor(path) for path in self.files[numbers.start : numbers.stop]])}

    def require_heads(self) -> None:
        """Raise MTL602 for the first of which the head does not fit; no pixels are read."""
        for path in self.files:
            require_picture(path, self.shape, resize=self.resize, fit=self.fit)

    def unusable(self, processes: Processes) -> dict[Path, str]:
        """What is wrong with each that cannot be used; all are read."""
        lists = [range(start, start + _AT_ONCE) for start in range(0, len(self.files), _AT_ONCE)]
        return {path: cause for found in processes.in_turn(self._unusable, lists) for path, cause in found.items()}

    def _unusable(self, numbers: range) -> dict[Path, str]:
        found = {}
        for path in self.files[numbers.start : numbers.stop]:
            try:
                self._tensor(path)
            except MtlError as error:
                found[path] = error.diagnostics[0].cause
        return found

    def _tensor(self, path: Path) -> Tensor:
        pixels = picture(path, self.shape, resize=self.resize, fit=self.fit, ink=self.ink)
        return widen(as_tensor(pixels)[None], self.kind)
