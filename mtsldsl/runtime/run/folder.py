"""The folder of one run: the evolving spec, the code that ran, events, checkpoints and the best weights."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import attrs

from mtsldsl.diagnostics import MtlError, Source
from mtsldsl.editing import loads_source
from mtsldsl.ir import Spec
from mtsldsl.ir.normal import digest
from mtsldsl.runtime.run.newest import newest_run, what_to_name
from mtsldsl.runtime.run.record_file import origin
from mtsldsl.runtime.run.request import Request
from mtsldsl.syntax import read_source, write_text_atomically
from mtsldsl.syntax.files import is_file


@attrs.frozen
class RunFolder:
    """`runs/<spec>/<n>/`. Each property is a place in it; nothing else knows the layout."""

    path: Path

    @classmethod
    def create(cls, root: Path, name: str) -> RunFolder:
        """A new folder `root/name/<n>` with the next free number; two processes never get the same one.

        Raises MtlError MTL703 where no folder can be made there, or none that files of weights can be read from.
        """
        try:
            str(root / name).encode()
        except UnicodeEncodeError:
            cause = f"{root / name}: no run folder can be made with a name that is no UTF-8"
            raise MtlError.of("MTL703", cause, "rename the spec or the folder of the runs") from None
        try:
            return cls._create(root / name)
        except OSError as error:
            raise MtlError.of(
                "MTL703",
                f"{error.filename}: no run folder can be made here: {error.strerror}",
                "train in a folder that can be written, or give --runs FOLDER",
            ) from None

    @classmethod
    def _create(cls, parent: Path) -> RunFolder:
        parent.mkdir(parents=True, exist_ok=True)
        taken = [int(child.name) for child in parent.iterdir() if child.name.isdecimal()]
        number = max(taken, default=0) + 1
        while True:
            try:
                (parent / str(number)).mkdir()
            except FileExistsError:
                number += 1
            else:
                break
        folder = cls(parent / str(number))
        folder.make_places()
        folder.events.touch()  # by which it is known as a run from now on
        return folder

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """An existing run, as `newest_run` finds it. Raises MtlError MTL801 where the folder is none."""
        path = newest_run(path)
        if not is_file(path / "spec.mtl"):
            raise MtlError.of("MTL801", f"`{path}` is not a run folder: it has no spec.mtl", what_to_name(path))
        return cls(path)

    def make_places(self) -> None:
        """Make what of the folders of a run is not there."""
        for place in (self.evolution, self.checkpoints, self.best, self.code):
            place.mkdir(exist_ok=True)

    def require_first_spec(self) -> None:
        """Hold that the spec is there that the run was started with. Raises MtlError MTL801 where it is not."""
        if not is_file(self.first_spec):
            cause = f"`{self.first_spec}` is gone, which says what the run was started with"
            raise MtlError.of("MTL801", cause, "copy the run folder once more from where it is whole")

    def require_no_links(self) -> None:
        """Hold that a run writes into its own folder alone. Raises MtlError MTL801 where something in it is a link to
        another place."""
        folders = (self.evolution, self.code, self.checkpoints, self.best, self.own_best, self.beside, self.samples)
        files = (self.spec, self.events, self.request, self.report, self.metrics)
        for path in (*folders, *files, self.tensorboard):
            if path.is_symlink():
                cause = f"`{path}` is a link, and a run writes into its own folder alone"
                raise MtlError.of("MTL801", cause, "put what it leads to in its place")

    @property
    def spec(self) -> Path:
        """The evolving spec."""
        return self.path / "spec.mtl"

    @property
    def evolution(self) -> Path:
        """`start.mtl`, then `epoch-003.mtl`, …: the spec after each structural phase."""
        return self.path / "evolution"

    @property
    def code(self) -> Path:
        """The generated package of the evolving spec, which a run executes where it starts or resumes."""
        return self.path / "code"

    @property
    def events(self) -> Path:
        """Every decision and metric."""
        return self.path / "events.jsonl"

    @property
    def request(self) -> Path:
        """What the run was asked for beside its spec."""
        return self.path / "request.json"

    @property
    def lock(self) -> Path:
        """The file that the process which trains here holds a lock of."""
        return self.path / ".lock"

    @property
    def checkpoints(self) -> Path:
        """`epoch-012/`: all that is needed to go on after that epoch; `epoch-012-step-00034/`: in the midst of the next
        one."""
        return self.path / "checkpoints"

    @property
    def best(self) -> Path:
        """Weights and spec of the best epoch of the network."""
        return self.path / "best"

    @property
    def own_best(self) -> Path:
        """Weights of each task's own best epoch, by its name."""
        return self.best / "tasks"

    @property
    def beside(self) -> Path:
        """Weights and spec of each network that was trained beside the run's own; not there where there is none."""
        return self.path / "ladder"

    @property
    def report(self) -> Path:
        """The report for people."""
        return self.path / "report.html"

    @property
    def samples(self) -> Path:
        """Pictures of test samples, with targets and predictions; there where a task answers for places."""
        return self.path / "samples"

    @property
    def metrics(self) -> Path:
        """The numbers of the events as a table; there where the run has the logger `csv`."""
        return self.path / "metrics.csv"

    @property
    def tensorboard(self) -> Path:
        """TensorBoard's files; there where the run has the logger `tensorboard`."""
        return self.path / "tensorboard"

    @property
    def exports(self) -> Path:
        """What was made of the run for other programs; not there before something is."""
        return self.path / "export"

    def write_spec(self, source: Source, stage: str) -> None:
        """Replace the evolving spec and keep it under `evolution/<stage>.mtl`."""
        for path in (self._stage(stage), self.spec):
            write_source(path, source)

    @property
    def first_spec(self) -> Path:
        """The spec that the run was started with."""
        return self._stage("start")

    def _stage(self, stage: str) -> Path:
        return self.evolution / f"{stage}.mtl"

    def read_spec(self, path: Path, settings: Mapping[str, str] = {}) -> Spec:
        """The spec of a file of this run, with settings such as `{"data.batch": "8"}`. It is called what the person
        called it: data beside it is found from there."""
        source = read_source(path)
        asked = Request.read(self.request)
        name = origin(self.events) or (asked.spec if asked else source.name)
        return loads_source(attrs.evolve(source, name=name), settings)

    def require_own(self, spec: Spec, place: Path) -> None:
        """Hold that a spec differs in its sharing and history alone from the one that the run was started with. Raises
        MtlError MTL801 where it does not, as `place` is then of another run."""
        first = self.read_spec(self.first_spec)
        known = spec.sharing
        alike = known.backbone == first.sharing.backbone and known.tasks == first.sharing.tasks
        if not alike or digest(attrs.evolve(spec, sharing=first.sharing, history=first.history)) != digest(first):
            cause = f"`{place}` is of another run: its spec differs from `{self.first_spec}` in more than the sharing"
            raise MtlError.of("MTL801", cause, "copy the run folder once more from where it is whole")

    def with_path(self, spec: Spec) -> Spec:
        """The same spec, found in this run: where its text is, once the person's own file says something else."""
        return attrs.evolve(spec, source=attrs.evolve(spec.source, path=str(self.spec)))

    def write_code(self, files: Mapping[str, str]) -> None:
        """Replace the generated package."""
        for name, text in files.items():
            write_text_atomically(self.code / name, text)

    def latest_checkpoints(self) -> list[Path]:
        """The complete checkpoints, from the latest on; one that a kill left half written has another name."""
        complete = [path for path in self.checkpoints.glob("*") if _CHECKPOINT.fullmatch(path.name)]
        return sorted(complete, key=place_of, reverse=True)

    def latest_checkpoint(self) -> Path | None:
        """The latest of them."""
        return next(iter(self.latest_checkpoints()), None)

    def checkpoint_after(self, epoch: int, step: int) -> Path:
        """Where that goes which is taken after so many epochs, and steps of the next one."""
        return self.checkpoints / (f"epoch-{epoch:03d}" + (f"-step-{step:05d}" if step else ""))

    def replace_folder(self, temporary: Path, final: Path) -> None:
        """Move a finished folder into its place, in a way that a kill leaves either the old or the new one whole."""
        if final.exists():
            outdated = final.with_name(f".outdated-{final.name}")
            final.rename(outdated)
            temporary.rename(final)
            shutil.rmtree(outdated)
        else:
            temporary.rename(final)
        _sync(final.parent)


_CHECKPOINT = re.compile("epoch-([0-9]+)(?:-step-([0-9]+))?")


def place_of(checkpoint: Path) -> tuple[int, int]:
    """After how many epochs, and steps of the next one, a checkpoint was taken. Its name as text says nothing: 999
    comes after 1000. Raises ValueError for what is none."""
    found = _CHECKPOINT.fullmatch(checkpoint.name)
    if found is None:
        raise ValueError(f"{checkpoint.name} is no checkpoint")
    return int(found[1]), int(found[2] or 0)


def epoch_of(checkpoint: Path) -> int:
    """The epoch after which a checkpoint was taken."""
    return place_of(checkpoint)[0]


def write_source(path: Path, source: Source) -> None:
    """Write a spec's text as it was read, its byte-order mark included."""
    write_text_atomically(path, source.text, source.bom)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
