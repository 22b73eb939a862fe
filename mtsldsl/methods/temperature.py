"""What methods that draw what is used have in common: how the temperature of samples falls in a run, and a learning
rate of their own."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from mtsldsl.language.constants import Named
from mtsldsl.language.holding import by_keys, keys_in
from mtsldsl.language.kinds import Call, CallRule, Key, Real
from mtsldsl.methods.method import Fault, Surroundings, Values
from mtsldsl.records import Record

_POSITIVE = Real(0, open_minimum=True)

TEMPERATURES = Call(
    (
        CallRule(
            "anneal",
            "max(end, start / sqrt(step + 1)), by the steps of the run",
            (Key("start", _POSITIVE, "temperature of the first step", 50.0), Key("end", _POSITIVE, "the least", 0.5)),
        ),
        CallRule("constant", "the same at every step", (Key("value", _POSITIVE, "the temperature"),)),
    ),
    "temperatures",
)


def _rising(start: float, end: float) -> str | None:
    """What is wrong with a temperature that ends above its beginning."""
    return f"the temperature begins at {start:g}, below its end, {end:g}" if end > start else None


@attrs.frozen(eq=False, repr=False, field_transformer=by_keys(keys_in(TEMPERATURES, "anneal")))
class Anneal(Record):
    """The temperature of step n, from 0: max(end, start / sqrt(n + 1))."""

    start: float
    end: float

    def __attrs_post_init__(self) -> None:
        if (cause := _rising(self.start, self.end)) is not None:
            raise ValueError(cause)

    def at(self, step: int) -> float:
        """That of a step, counted from 0 over the whole run."""
        return max(self.end, self.start / math.sqrt(step + 1))


def faults_of_temperature(values: Values) -> Iterator[Fault]:
    """A temperature that rises."""
    temperature = values.get("temperature")
    if isinstance(temperature, Named) and temperature.name == "anneal":
        given: Mapping[str, Any] = temperature.arguments
        if (cause := _rising(given["start"], given["end"])) is not None:
            yield Fault("MTL202", cause, "give the higher one first: `anneal(50, 0.5)`", "temperature")


def annealed(values: Values) -> dict[str, Any]:
    """Sound values with the record of their temperature: a constant one is an annealing from itself to itself."""
    temperature: Named = values["temperature"]
    given: Mapping[str, Any] = temperature.arguments
    record = Anneal(**given) if temperature.name == "anneal" else Anneal(given["value"], given["value"])
    return {**values, "temperature": record}


def with_rate(values: Values, surroundings: Surroundings) -> Values:
    """Values with a learning rate, by default the optimizer's, for what is learned by such samples."""
    return values if values["lr"] is not None else {**values, "lr": surroundings.lr}
