"""Libraries that a run needs late, such as for its metrics: imported before it begins, so that none ends it
half-way."""

from __future__ import annotations

from importlib.util import find_spec

from mtsldsl.diagnostics.libraries import CURVES, METRICS, importing, require
from mtsldsl.ir import Spec
from mtsldsl.runtime.learning.balance import SOLVERS, GradientBalance
from mtsldsl.runtime.learning.learned import balance_of


def require_for_run(spec: Spec) -> None:
    """Import what a run of `spec` needs: for metrics, for the report at its end, and the solver of its balance.

    Raises MtlError: MTL808 where a library cannot be imported, MTL206 where a solver is not installed.
    """
    require(METRICS + CURVES)
    for solver in SOLVERS.get(spec.train.balance.name, ()):
        if find_spec(solver) is not None:  # torchjd hides why one that is there fails
            require((solver,))
    with importing("torchjd"):
        balance = balance_of(spec)
        if isinstance(balance, GradientBalance):
            balance.try_out()  # a solver that cannot be imported may be noticed no sooner
