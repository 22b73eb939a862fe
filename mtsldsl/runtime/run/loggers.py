"""Who is told of a run beside its record: loggers by name, of the package or by an entry point of another one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import attrs

from mtsldsl.diagnostics import MtlError, suggestion
from mtsldsl.diagnostics.libraries import importing, require
from mtsldsl.methods.evidence import Event
from mtsldsl.runtime.run.event_json import as_json
from mtsldsl.runtime.run.events import Resume, Start
from mtsldsl.runtime.run.record_file import read_events

GROUP = "mtsldsl.loggers"
"""Of entry points: each names a logger and what makes it."""

OWN = {
    "csv": "mtsldsl.runtime.run.csv_log:CsvLog",
    "tensorboard": "mtsldsl.runtime.run.tensorboard_log:TensorBoardLog",
}
"""The loggers of the package."""

LIBRARIES = {"tensorboard": ("tensorboardX",)}
"""What a logger of the package needs, of the extra of its name."""


class Logger(Protocol):
    """Is told what happens in one run."""

    def __call__(self, event: Mapping[str, Any], /) -> None:
        """Note an event, the object that its line of `events.jsonl` holds. A run that goes on begins with `resume`:
        what was told of later epochs than its `epoch`, and of the test set, no longer holds, and comes anew."""

    def close(self) -> None:
        """Nothing more will be told."""


Maker: TypeAlias = Callable[[Path], Logger]
"""Makes the logger of a run from the path of its folder."""


def makers(names: Sequence[str]) -> dict[str, Maker]:
    """What makes each of these loggers. Raises MtlError: MTL813 for one that there is not, MTL808 where a library
    cannot be imported."""
    return {name: _maker(name) for name in names}


def _maker(name: str) -> Maker:
    if name in OWN:
        require(LIBRARIES.get(name, ()), extra=name)
        module, _, attribute = OWN[name].partition(":")
        own: Maker = getattr(import_module(module), attribute)
        return own
    others = {each.name: each for each in entry_points(group=GROUP)}
    if name not in others:
        known = suggestion(name, [*OWN, *others], "loggers")
        raise MtlError.of("MTL813", f"no logger `{name}` is installed", known)
    return _loaded(others[name])


def _loaded(found: EntryPoint) -> Maker:
    with importing(found.module.partition(".")[0]):
        made: Maker = found.load()
    return made


def recorded_loggers(record: Path) -> Sequence[str]:
    """The loggers that a run had when it last began or went on."""
    names: Sequence[str] = ()
    for event in read_events(record):
        if isinstance(event, (Start, Resume)):
            names = event.loggers or ()
    return names


@attrs.define
class Loggers:
    """The loggers of a run in this process. One that fails is left out from then on: the record is whole without it."""

    run: Path
    makers: dict[str, Maker] = attrs.field(factory=dict)
    _made: dict[str, Logger] = attrs.field(factory=dict)

    def names(self) -> list[str] | None:
        """As `start` and `resume` have them; None without any."""
        return list(self.makers) or None

    def tell(self, event: Event) -> list[str]:
        """Tell each of an event; gives what a person should know of those that failed, and did not before."""
        failed: list[str] = []
        for name, make in list(self.makers.items()):
            with _noting(name, failed):
                if name not in self._made:
                    self._made[name] = make(self.run)
                self._made[name](as_json(event))
                continue
            del self.makers[name]
        return failed

    def close(self) -> list[str]:
        """Close those that still work; gives what a person should know of those that failed in it."""
        failed: list[str] = []
        for name in list(self.makers):
            del self.makers[name]
            with _noting(name, failed):
                if name in self._made:
                    self._made[name].close()
        return failed


@contextmanager
def _noting(name: str, failed: list[str]) -> Iterator[None]:
    """Note that a logger has failed in here. Its code is another's and may raise whatever it likes; no training is lost
    by it."""
    try:
        yield
    except Exception as error:
        said = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
        failed.append(f"the logger `{name}` failed, and is told no more; events.jsonl has all: {said}")
