"""Runs that are killed at any instant: between two calls that the package makes, of its own functions or of others'.

A first process makes the whole run and counts these calls, by what goes on; others are killed, with SIGKILL, at one that
is drawn from them. Each is resumed, by a process of its own, until the run ends.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from mtsldsl.runtime.run.folder import RunFolder
from tests import prepared
from tests.methods.each_learner import visits

PROGRAM = """\
import json, os, signal, sys
from pathlib import Path
import mtsldsl
from mtsldsl.cli import main

at, told, *words = json.loads(sys.argv[1])
kinds, package, count, calls = json.loads(sys.argv[2]), str(Path(mtsldsl.__file__).parent), 0, []
known = {}

def kind_of(code):
    name = code.co_filename
    if name not in known:
        own = name.startswith(package)
        known[name] = next((place for place, kind in enumerate(kinds) if own and kind in name), -2 if own else None)
    return known[name]

def see(frame, event, _):
    global count
    if event == "return" or event == "c_return" or event == "c_exception" or kind_of(frame.f_code) is None:
        return
    count += 1
    if count == at:
        os.kill(os.getpid(), signal.SIGKILL)
    if at is None:
        calls.append(kind_of(frame.f_code))

sys.setprofile(see)
try:
    main(words, standalone_mode=False)
finally:
    sys.setprofile(None)
    if at is None:
        Path(told).write_text(json.dumps(calls))
"""

KINDS = (
    "run/checkpoint.py", "syntax/writing.py", "run/record_file.py", "run/best_epochs.py", "run/in_place.py",
    "structure/phase.py", "structure/similarities", "mtsl/amalgamation.py", "learning/probe.py", "methods/",
    "learning/evaluation.py", "learning/training.py", "network/", "run/folder.py", "run/session.py", "run/",
    "learning/", "data/", "codegen/",
)  # fmt: skip
"""What goes on is told by the file of the function that calls; the first of these that is in its name counts."""


def prepared_job(place: Path, spec: str) -> Path:
    """A new folder with a spec, `job.mtl`, and its data."""
    place.mkdir()
    visits(place)
    (place / "job.mtl").write_text(spec, encoding="utf-8")
    return place


def train(place: Path, *words: str, at: int | None = 0) -> int:
    """`mtsldsl train` in a folder, killed at that call where it is not 0; where it is None all calls are counted. Gives
    the exit status."""
    given = json.dumps([at, str(place / "calls.json"), "train", *words, "--quiet", "--device", "cpu"])
    return prepared.run("-c", PROGRAM, given, json.dumps(KINDS), cwd=place).returncode


def whole_run(place: Path, *words: str) -> list[int]:
    """Make a run without a fault; the kind of each of its calls."""
    assert train(place, *words, at=None) == 0
    calls: list[int] = json.loads((place / "calls.json").read_text(encoding="utf-8"))
    (place / "calls.json").unlink()
    return calls


def instants(calls: list[int], count: int, seed: int) -> Iterator[int]:
    """So many of the calls, each of a kind that is drawn first, so that seldom ones come too."""
    chance = random.Random(seed)
    by_kind: dict[int, list[int]] = {}
    for place, kind in enumerate(calls, 1):
        by_kind.setdefault(kind, []).append(place)
    drawn: dict[int, None] = {}
    while len(drawn) < count:
        drawn[chance.choice(by_kind[chance.choice(sorted(by_kind))])] = None
    yield from drawn


def killed_and_resumed(place: Path, at: int, of: int, *words: str) -> Path:
    """The run, killed at that call of so many, and resumed from whatever is there; where nothing is yet, made anew. How
    many calls there are depends on the clock a little, as some checkpoints do."""
    ended = train(place, *words, at=at)
    assert ended == -9 or (ended == 0 and at > 0.9 * of)
    runs = sorted((place / "runs").glob("*/*")) if (place / "runs").exists() else []
    whole = [run for run in runs if (run / "request.json").exists()]
    for run in runs:
        if run not in whole:  # the first milliseconds: nothing of the run is there
            shutil.rmtree(run)
    options = [word for word in words if word not in ("job.mtl", "--in-place")]
    again = train(place, "--resume", str(whole[0].relative_to(place)), *options) if whole else train(place, *words)
    assert again == 0
    (run,) = (place / "runs").glob("*/*")
    return run


CLOCK = ("time", "seconds", "epoch_seconds", "samples_per_second", "peak_memory_mb", "teachers_seconds", "command")  # fmt: skip
"""What differs between two runs of the same."""


def facts(run: Path) -> dict[str, Any]:
    """All that a run leaves, but for the clock and its place: texts and events, and every number to the last bit."""
    found: dict[str, Any] = {}
    text = (run / "events.jsonl").read_text(encoding="utf-8")
    lines = text.replace(str(run.parents[2]), "").splitlines()
    events = [json.loads(line) for line in lines]
    found["events"] = [_timeless(event) for event in events if event["event"] != "resume"]
    earlier = RunFolder(run).latest_checkpoints()[1:]  # which of them there are depends on the clock
    for path in sorted(path for path in run.rglob("*") if path.parent not in earlier):
        name = str(path.relative_to(run))
        if path.suffix == ".safetensors":
            tensors = load_file(path)
            found[name] = {key: (value.dtype, value.numpy().tobytes()) for key, value in sorted(tensors.items())}
        elif path.suffix in (".mtl", ".py"):
            found[name] = path.read_bytes()
        elif path.name == "state.json":
            state = json.loads(path.read_text(encoding="utf-8"))
            del state["events"]  # the length of a file with times in it
            found[name] = _timeless(state)
    return found


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(each) for key, each in value.items() if key not in CLOCK}
    return [_timeless(each) for each in value] if isinstance(value, list) else value
