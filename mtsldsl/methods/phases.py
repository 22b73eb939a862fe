"""What may be wrong, or doubtful, with a list of epochs at whose end a learner decides."""

from __future__ import annotations

from collections.abc import Iterator

from mtsldsl.methods.method import Fault


def faults_of_phases(phases: tuple[int, ...], epochs: int | None, key: str) -> Iterator[Fault]:
    """Phases out of order, and those after the last of the epochs, where that is known."""
    for index in range(1, len(phases)):
        if phases[index] <= phases[index - 1]:
            yield Fault(
                "MTL503",
                f"the phase at epoch {phases[index]} comes after the one at epoch {phases[index - 1]}",
                "list the epochs in rising order, each once",
                key,
                index,
            )
            return
    late = [index for index, epoch in enumerate(phases) if epochs is not None and epoch > epochs]
    if late:
        count = len(late)
        yield Fault(
            "MTL501",
            f"{'a structural phase comes' if count == 1 else f'{count} structural phases come'} after the last epoch, "
            f"{epochs}",
            f"let every phase be at epoch {epochs} or before, or train for at least {max(phases)} epochs",
            key,
            late[0],
        )


def untrained(phases: tuple[int, ...], epochs: int, does: str) -> Iterator[Fault]:
    """A last phase at the last epoch: what it `does`, such as "merges", is never trained."""
    if phases[-1] >= epochs:
        cause = f"what the phase at epoch {phases[-1]} {does} is never trained: it is the last epoch"
        yield Fault("MTL932", cause, "let the last phase come earlier, or train for longer", "phases", -1)
