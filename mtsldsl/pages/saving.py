"""What a sharing saves, in percent."""

from __future__ import annotations

import attrs

from mtsldsl.ir import Spec
from mtsldsl.records import Record


@attrs.frozen(eq=False, repr=False)
class Saving(Record):
    """What the network of a sharing costs, beside a network for each task."""

    parameters: int
    flops: int
    apart_parameters: int
    apart_flops: int

    @classmethod
    def of(cls, spec: Spec) -> Saving:
        """That of a spec, as its network is used."""
        spec = spec.served()
        shared, apart = spec.cost(), attrs.evolve(spec, sharing=spec.sharing.apart()).cost()
        return cls(shared.parameters, shared.flops, apart.parameters, apart.flops)

    def words(self) -> str:
        """In percent of what a network for each task has."""
        counts = ((self.parameters, self.apart_parameters, "parameters"), (self.flops, self.apart_flops, "operations"))
        return " and ".join(f"{less(now, apart)} {what}" for now, apart, what in counts)


def less(now: int, before: int) -> str:
    """How much fewer, or more, one count is than another, in percent."""
    if now == before:
        return "no fewer"
    percent = 100 * (1 - now / before) if before else -100.0
    return f"{abs(percent):.1f} % {'more' if percent < 0 else 'fewer'}"
