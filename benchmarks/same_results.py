"""Do two commits of this repository train to the same results, to the last bit?

    python benchmarks/same_results.py main~5 main

lays out both commits in folders of their own, runs the jobs below with each on one thread, and compares what the runs
leave: every spec, every tensor of the best weights, every tensor and fact of the last checkpoint, and the events
without their times and places. Prints what differs, and exits with 1 where something does.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import numpy as np
from safetensors.numpy import load_file

Kept: TypeAlias = dict[str, object]
"""What a run leaves, by name."""

ROOT = Path(__file__).parents[1]
PASSING = frozenset(
    (
        "seconds",
        "epoch_seconds",
        "samples_per_second",
        "peak_memory_mb",
        "spec",
        "spec_sha256",
        "folder",
        "python",
        "path",
        "given",
        "command",
        "file",
    )
)
"""What events say of times and places, which no two runs have in common."""

ARRAYS = """\
mtl 1

data arrays {{
  path  = "job.npz"
  input = {input}
  batch = 8
}}

task depth {{
  target = values(1)
  head   = {head}
}}

task kind {{
  target = classes(3)
  head   = {head_of_kind}
}}

backbone {{
  stem = {stem}
  enc1 = {layer}
}}

train {{
  epochs    = 5
  optimizer = adam(lr=0.003)
}}

structure mtsl {{
  phases    = [2, 3, 4]
  threshold = 0.2
}}
"""

OWN_MODULE = """\
import torch


class Half(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.scale * image[..., ::2, ::2]
"""


@attrs.frozen
class Job:
    """A training: the text of its spec, or one of specs/, and what is set."""

    name: str
    options: tuple[str, ...] = ()
    text: str | None = None
    samples: tuple[int, ...] = ()
    """The shape of the input of one sample, where the data is made here."""


SHORT = ("data.images=96", "train.epochs=6", "structure.phases=[2, 3, 4]")
JOBS = (
    Job("merging", SHORT),
    Job("pcgrad", ("data.images=96", "train.epochs=3", "structure.phases=[2]", "train.balance=pcgrad")),
    Job(
        "own module",
        text=ARRAYS.format(
            input="image(3, 8, 8)",
            head="adaptive_avg_pool2d(1) | flatten | linear(1)",
            head_of_kind="adaptive_avg_pool2d(1) | flatten | linear(3)",
            stem="conv2d(8, 3) | batch_norm | relu",
            layer='module("own_layers:Half", out=[8, 4, 4], parameters=1) | conv2d(8, 3) | relu',
        ),
        samples=(3, 8, 8),
    ),
    Job(
        "features",
        text=ARRAYS.format(
            input="row(12)",
            head="linear(1)",
            head_of_kind="linear(3)",
            stem="linear(16) | relu",
            layer="linear(16) | relu",
        ),
        samples=(12,),
    ),
)


def trained(job: Job, source: Path, folder: Path) -> Path:
    """Train a job with the package of `source` in a folder of its own; the folder of the run."""
    folder.mkdir(parents=True)
    spec = source / "specs" / "scenes.mtl"
    if job.text is not None:
        spec = folder / "job.mtl"
        spec.write_text(job.text, encoding="utf-8")
        (folder / "own_layers.py").write_text(OWN_MODULE, encoding="utf-8")
        draws = np.random.default_rng(0)
        made = draws.normal(size=(96, *job.samples)).astype(np.float32)
        means = made.reshape(96, -1)[:, :4].mean(axis=1)
        np.savez(folder / "job.npz", **{_field(job): made, "depth": means, "kind": np.digitize(means, [-0.3, 0.3])})
    options = [word for setting in job.options for word in ("--set", setting)]
    command = [sys.executable, "-m", "mtsldsl", "train", str(spec), "--quiet", "--device", "cpu", "--runs", "runs"]
    environment = {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, *options], cwd=folder, env=environment, check=True)
    return next((folder / "runs").glob("*/*"))


def _field(job: Job) -> str:
    return "image" if len(job.samples) == 3 else "row"


KEPT = "kept~"
"""How the names of the best weights begin that a checkpoint has too, as the same files."""


def kept(run: Path) -> Kept:
    """What a run left that is to be the same."""
    ends = [path for path in (run / "checkpoints").iterdir() if path.name.removeprefix("epoch-").isdecimal()]
    last = max(ends, key=lambda path: int(path.name.removeprefix("epoch-")))
    # the evolved one, those of each phase, of the best epochs and the last checkpoint
    specs = sorted(path for path in run.rglob("*.mtl") if path.parent == last or path.parent.parent != last.parent)
    specs = [path for path in specs if not path.name.startswith(KEPT)]
    found: Kept = {path.relative_to(run).as_posix(): path.read_text(encoding="utf-8") for path in specs}
    for tensors in (*sorted((run / "best").rglob("*.safetensors")), *sorted(last.glob("[!k]*.safetensors"))):
        place = tensors.relative_to(run).as_posix()
        found |= {f"{place}: {name}": _bits(tensor) for name, tensor in load_file(tensors).items()}
    state = json.loads((last / "state.json").read_text(encoding="utf-8"))
    del state["events"]  # how long their text is, with times and places
    facts = {**state.pop("facts"), **state}
    facts["position"].pop("rate", None)  # that of the last step, which earlier versions did not write
    found |= {f"{last.name}/state.json: {name}": _lasting(value) for name, value in facts.items()}
    for number, line in enumerate((run / "events.jsonl").read_text(encoding="utf-8").splitlines()):
        event = json.loads(line)
        found |= {f"event {number}, {event['event']}: {key}": value for key, value in _lasting(event).items()}
    return found


def _bits(tensor: np.ndarray[Any, Any]) -> tuple[object, ...]:
    return str(tensor.dtype), tensor.shape, tensor.tobytes()


def _lasting(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _lasting(each) for key, each in value.items() if key not in PASSING}
    return [_lasting(each) for each in value] if isinstance(value, list) else value


def differences(before: Kept, after: Kept) -> Iterator[str]:
    """The names of what is not the same, or is there once only."""
    for name in {**before, **after}:
        if name not in before or name not in after:
            yield f"{name} is there {'after' if name in after else 'before'} alone"
        elif before[name] != after[name]:
            yield f"{name} differs"


def laid_out(commit: str, folder: Path) -> Path:
    """The files of a commit."""
    folder.mkdir()
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True).stdout
    subprocess.run(["tar", "--extract"], cwd=folder, input=archive, check=True)
    return folder


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commits", nargs=2, metavar="COMMIT")
    parser.add_argument("--only", nargs="+", choices=[job.name for job in JOBS], help="only these jobs")
    options = parser.parse_args()
    jobs = [job for job in JOBS if not options.only or job.name in options.only]
    differing = 0
    with tempfile.TemporaryDirectory() as place:
        sources = [laid_out(commit, Path(place, side)) for side, commit in zip("ab", options.commits, strict=True)]
        for job in jobs:
            before, after = (kept(trained(job, source, source / "jobs" / job.name)) for source in sources)
            found = list(differences(before, after))
            differing += len(found)
            print(f"{job.name}: {len(before)} things, {len(found)} differ", *found[:20], sep="\n  ", flush=True)
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
