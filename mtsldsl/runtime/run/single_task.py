"""What the tasks of a run reach by themselves, where a run beside it tells."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import attrs

from mtsldsl.diagnostics import MtlError
from mtsldsl.ir import Spec
from mtsldsl.ir.normal import digest
from mtsldsl.methods.method import NO_METHOD
from mtsldsl.runtime.run import events, final_events
from mtsldsl.runtime.run.folder import RunFolder
from mtsldsl.runtime.run.kept_epoch import last
from mtsldsl.runtime.run.record_file import read_events, started


def single_task(folder: RunFolder) -> final_events.SingleTask | None:
    """The test of the newest other run of the same folder of runs that has ended, and differs in nothing but that no
    task shares a layer and no structure is learned: the spec, the seed and the samples are the same."""
    own = started(folder.events)
    return None if own is None else next(_alike(folder, own), None)


def _alike(folder: RunFolder, own: events.Start) -> Iterator[final_events.SingleTask]:
    wanted = digest(_apart(folder.read_spec(folder.first_spec)))
    for other in _others(folder):
        with suppress(MtlError, OSError):  # of a run whose record or spec is damaged, nothing is known
            start = started(other.events)
            if start is None or start.method != NO_METHOD or _data(start) != _data(own):
                continue
            spec = other.read_spec(other.first_spec)
            if spec.sharing != spec.sharing.apart() or start.spec_sha256 == own.spec_sha256:
                continue
            test = last(list(read_events(other.events)), final_events.Test)
            if test is not None and digest(_apart(spec)) == wanted:
                yield final_events.SingleTask(folder=str(other.path), metrics=test.metrics)


def _others(folder: RunFolder) -> Iterator[RunFolder]:
    """The other runs beside this one, the newest first."""
    numbered = [path for path in folder.path.parent.iterdir() if path.name.isdecimal() and path != folder.path]
    yield from map(RunFolder, sorted(numbered, key=lambda path: -int(path.name)))


def _apart(spec: Spec) -> Spec:
    """The spec as if no task shared anything, and none learned to."""
    return attrs.evolve(spec, structure=None, sharing=spec.sharing.apart(), history=())


def _data(start: events.Start) -> object:
    """The digests of what was read."""
    read = start.read or {}
    blocks = read.get("blocks", {"": read})
    return {name: block.get("sha256") for name, block in blocks.items()}
