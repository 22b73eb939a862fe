"""What can be wrong with a sharing, said with the layer, the tasks and what keeps them apart."""

from __future__ import annotations

from collections.abc import Iterable


class SharingError(ValueError):
    """A sharing, a merge or a split that is not allowed.

    `layer` and `tasks` say where; `reason` is one sentence without the layer's name; `code` is the diagnostic's code.
    Where another layer stands in the way, `keeper` is that layer and `apart` the sets it keeps apart: for a merge or a
    broken refinement the tasks of each component of `keeper`, for a split the two sides that `keeper` still joins.
    """

    def __init__(
        self,
        layer: str,
        tasks: Iterable[str],
        reason: str,
        *,
        code: str = "MTL407",
        keeper: str | None = None,
        apart: Iterable[Iterable[str]] = (),
    ) -> None:
        self.layer = layer
        self.tasks = tuple(tasks)
        self.reason = reason
        self.code = code
        self.keeper = keeper
        self.apart = tuple(tuple(side) for side in apart)
        super().__init__(f"layer `{layer}`: {reason}")

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments do not survive the default, which calls the class with `args`.
        return (_rebuild, (self.layer, self.tasks, self.reason, self.code, self.keeper, self.apart))


def _rebuild(
    layer: str, tasks: tuple[str, ...], reason: str, code: str, keeper: str | None, apart: tuple[tuple[str, ...], ...]
) -> SharingError:
    return SharingError(layer, tasks, reason, code=code, keeper=keeper, apart=apart)
