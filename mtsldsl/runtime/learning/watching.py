"""What the copies of layers give that a learner of sharing watches, kept until the step is looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import attrs
from torch import Tensor, nn

from mtsldsl.sharing import Copy


@attrs.define
class Watching:
    """The outputs (n, ...) of watched copies, in the order in which they were computed since they were last taken."""

    under_way: bool = False
    """Whether any copy is watched."""
    _outputs: dict[Copy, Tensor] = attrs.field(factory=dict)

    @contextmanager
    def over(self, model: nn.Module, copies: Iterable[Copy]) -> Iterator[None]:
        """While open, each forward pass keeps the outputs of these copies."""
        handles = [model.get_submodule(copy.name).register_forward_hook(self._keeper(copy)) for copy in copies]
        self.under_way = bool(handles)
        try:
            yield
        finally:
            self.under_way = False
            self._outputs.clear()
            for handle in handles:
                handle.remove()

    def taken(self) -> dict[Copy, Tensor]:
        """The outputs, which are kept no longer."""
        found = dict(self._outputs)
        self._outputs.clear()
        return found

    def _keeper(self, copy: Copy) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def keep(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> None:
            self._outputs[copy] = output

        return keep
