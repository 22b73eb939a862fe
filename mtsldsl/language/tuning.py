"""How parts of a network learn otherwise than the rest: not at all, or at another rate."""

from __future__ import annotations

from mtsldsl.language.kinds import Call, CallRule, Key, Real

FROZEN, RATE = "frozen", "rate"

TUNINGS = Call(
    (
        CallRule(FROZEN, "no weight changes, nor any statistic of batch normalisation"),
        CallRule(
            RATE,
            "learns at another rate",
            (Key("factor", Real(0, open_minimum=True), "factor of the learning rate"),),
        ),
    ),
    "ways to learn",
)
"""What a line of `tuning` says of a layer, or of the head of a task."""

OTHERS = ("balance", "learner")
"""What is trained beside the network; parameters of it begin with these names."""
