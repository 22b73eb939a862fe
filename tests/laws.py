"""Laws whose examples take long: a sixth of them in `make test`, and all of them in `make soak`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings

Test = TypeVar("Test", bound=Callable[..., None])

SOAKING = 300
"""The examples of a law with no number of its own in the profile of `make soak`, by which the profile is known."""

SELDOM = [HealthCheck.too_slow, HealthCheck.data_too_large]
"""What is no fault of such a law: examples take long and are large."""


def law(examples: int, **others: Any) -> Callable[[Test], Test]:
    """Test with so many examples in the profile that `make soak` names, where it is one of its tests; else with a sixth.
    What else hypothesis is told is told it in both."""
    soaking = settings.default.max_examples == SOAKING
    number = examples if soaking else -(-examples // 6)
    chosen = settings(max_examples=number, **{"deadline": None, "suppress_health_check": SELDOM, **others})
    return lambda test: pytest.mark.soak(chosen(test)) if soaking else chosen(test)
