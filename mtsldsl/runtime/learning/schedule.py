"""How many steps a run has, which a schedule of the learning rate that goes by steps is made for."""

from __future__ import annotations

import math

from mtsldsl.diagnostics import MtlError
from mtsldsl.ir import Spec
from mtsldsl.language.operators.arguments import number
from mtsldsl.language.optimization import misfit_of_schedule, misfit_of_stop
from mtsldsl.runtime.data import Mixed, Samples, steps_per_epoch
from mtsldsl.runtime.data.mixed import shares, streamed


def steps_of_run(spec: Spec, samples: Samples | Mixed) -> int:
    """The steps of all epochs over these samples for training; the last one of an epoch may have fewer batches than
    `accumulate`."""
    found = [steps_per_epoch(own, stream.data.batch) for stream, own in streamed(spec, samples)]
    batches = found[0] if isinstance(samples, Samples) else sum(shares(found, spec.train.sampling))
    return spec.train.epochs * -(-batches // spec.train.accumulate)


def remarks_on_schedule(spec: Spec, samples: Samples | Mixed) -> list[str]:
    """What a person should know of a schedule that goes by steps, as `check --pedantic` says it of the others."""
    if spec.train.scheduler is None or not spec.train.rate_by_steps:
        return []
    said = misfit_of_schedule(spec.train.scheduler, steps_of_run(spec, samples), "step")
    stopped = misfit_of_stop(spec.train.scheduler, spec.train.stop, spec.train.epochs)
    return [f"{cause}; {remedy} (MTL942)" for cause, remedy in filter(None, (said, stopped))]


def require_room_for_schedule(spec: Spec, samples: Samples | Mixed) -> None:
    """Hold that a run has the steps that its schedule needs.

    Raises MtlError MTL814 where the rate of `one_cycle` would rise over a single step, or over none.
    """
    scheduler = spec.train.scheduler
    if scheduler is None or scheduler.name != "one_cycle":
        return
    steps, part = steps_of_run(spec, samples), number(scheduler.arguments, "pct_start")
    if part * steps <= 1:
        cause = f"`one_cycle` has no step to rise over: its highest rate comes after {part:g} of the {steps} steps"
        remedy = f"train for more than {math.floor(1 / part)} steps, or take a larger `pct_start`"
        raise MtlError.of("MTL814", cause, remedy, scheduler.span or spec.train.span)
