"""`mtsldsl train --nproc 2`: what one process does, from two, on real runs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from mtsldsl import load, loads
from mtsldsl.diagnostics import MtlError
from mtsldsl.runtime.run.processes import require_even_shares
from tests.methods.branch.test_runs import events
from tests.methods.mtsl.test_similarities import text_of

TEXT = (
    text_of("cka(samples=32)", "threshold  = 0.5", "align      = 0")
    .replace(" | batch_norm", "")
    .replace("images = 60", "images = 64")
    .replace("epochs = 4", "epochs = 4\n  balance = pcgrad")
)


def mtsldsl(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mtsldsl", *map(str, words)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


TOLD = """\
import json
import os

class Told:
    def __init__(self, run):
        self.file = open(f"told-{os.environ.get('RANK')}.jsonl", "w")

    def __call__(self, event):
        print(json.dumps(event), file=self.file)

    def close(self):
        self.file.close()
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """The run of one process and that of two."""
    folder = tmp_path_factory.mktemp("nproc")
    (folder / "job.mtl").write_text(TEXT, encoding="utf-8")
    (folder / "own.py").write_text(TOLD, encoding="utf-8")
    (folder / "own-1.0.dist-info").mkdir()
    (folder / "own-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: own\nVersion: 1.0\n")
    (folder / "own-1.0.dist-info" / "entry_points.txt").write_text("[mtsldsl.loggers]\ntold = own:Told\n")
    for count in (1, 2):
        words = ("--device", "cpu", "--runs", f"runs{count}", "--log", "told")
        done = mtsldsl("train", "job.mtl", "--nproc", count, *words, cwd=folder)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        assert done.stdout.count("run folder: ") == 1
        assert done.stdout.splitlines()[-1].startswith("done in")
    return {count: folder / f"runs{count}" / "job" / "1" for count in (1, 2)}


@pytest.mark.soak
def test_two_processes_decide_what_one_does_and_learn_the_same(runs: dict[int, Path]) -> None:
    one, two = (load(runs[count] / "spec.mtl") for count in (1, 2))
    assert one.sharing == two.sharing
    assert one.history != ()
    assert [(each.epoch, each.fields["layer"], each.fields["tasks"]) for each in one.history] == [
        (each.epoch, each.fields["layer"], each.fields["tasks"]) for each in two.history
    ]
    for kind, key in (("epoch", "losses"), ("validation", "losses"), ("test", "losses")):
        found, wanted = (events(runs[count], kind) for count in (2, 1))
        assert len(found) == len(wanted) > 0
        for each, other in zip(found, wanted, strict=True):
            assert each[key] == pytest.approx(other[key], rel=1e-3)
    assert [event["processes"] for event in events(runs[2], "start")] == [2]
    assert [event.get("processes") for event in events(runs[1], "start")] == [None]


@pytest.mark.soak
def test_the_first_of_two_processes_alone_logs(runs: dict[int, Path]) -> None:
    folder = runs[1].parents[2]
    told = {path.name: path.read_bytes() for path in folder.glob("told-*")}
    whole = {count: (run / "events.jsonl").read_bytes() for count, run in runs.items()}
    assert told == {"told-None.jsonl": whole[1], "told-0.jsonl": whole[2]}


FRAGILE = """\
import os
import torch

class Fragile(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += self.training
        if self.calls > 2 * 5 and os.environ.get("RANK") == "1" and os.path.exists("dies"):
            os.kill(os.getpid(), 9)
        return x
"""


@pytest.mark.soak
def test_a_run_whose_process_died_says_so_and_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    """It dies in the third epoch."""
    (tmp_path / "person.py").write_text(FRAGILE, encoding="utf-8")
    alone = TEXT[: TEXT.index("structure mtsl")]
    text = alone.replace("| relu\n  last", '| relu | module("person:Fragile", out=[6, 8, 8])\n  last')
    (tmp_path / "job.mtl").write_text(f"{text}\nsharing {{\n  stem..last = all\n}}\n", encoding="utf-8")
    given = "--nproc", 2, "--device", "cpu", "--quiet"
    whole = mtsldsl("train", "job.mtl", *given, cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    (tmp_path / "dies").touch()
    done = mtsldsl("train", "job.mtl", *given, cwd=tmp_path)
    assert done.returncode == 128 + 9, done.stderr
    again = "go on with `mtsldsl train --resume RUN --nproc 2`, where RUN is its folder"
    assert done.stderr == f"process 2 of 2 was ended by signal 9: {again}\n"
    run, other = (tmp_path / "runs" / "job" / number for number in "21")
    assert (run / "checkpoints" / "epoch-002").exists()
    (tmp_path / "dies").unlink()
    single = tmp_path / "single" / "job" / "1"
    shutil.copytree(run, single)
    again = mtsldsl("train", "--resume", run, *given, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    for name in ("weights", "optimizer"):
        kept = Path("checkpoints") / "epoch-004" / f"{name}.safetensors"
        assert (run / kept).read_bytes() == (other / kept).read_bytes()
    assert [event["epoch"] for event in events(run, "epoch")] == [1, 2, 3, 4]
    in_one = mtsldsl("train", "--resume", single, "--device", "cpu", "--quiet", cwd=tmp_path)
    assert in_one.returncode == 0, in_one.stderr
    found, wanted = (load_file(each / "checkpoints/epoch-004/weights.safetensors") for each in (single, other))
    assert all(each.allclose(wanted[name], rtol=1e-3, atol=1e-4) for name, each in found.items())
    assert any(not each.equal(wanted[name]) for name, each in found.items())


def test_what_is_wrong_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "job.mtl").write_text(TEXT.replace("edge {", "depth {"), encoding="utf-8")
    alone, done = (mtsldsl("train", "job.mtl", "--nproc", count, cwd=tmp_path) for count in (1, 2))
    assert (done.returncode, done.stderr) == (alone.returncode, alone.stderr)
    assert "error MTL" in done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.soak
def test_a_run_without_a_checkpoint_is_refused_as_by_one_process(tmp_path: Path) -> None:
    for place in ("code", "checkpoints", "best", "evolution"):
        (tmp_path / "run" / place).mkdir(parents=True)
    for name in ("spec.mtl", "events.jsonl"):
        (tmp_path / "run" / name).write_text("", encoding="utf-8")
    alone, done = (mtsldsl("train", "--resume", "run", "--nproc", count, cwd=tmp_path) for count in (1, 2))
    assert "error MTL801" in done.stderr
    assert (done.returncode, done.stderr) == (alone.returncode, alone.stderr)


ROWS = """\
mtl 1

data arrays {
  path  = "rows.npz"
  input = row(4)
  batch = 2
}

task a {
  target = values(1)
  head   = linear(1)
}

backbone {
  wide = linear(4) | batch_norm
}

train {
  epochs = 1
}
"""


@pytest.mark.soak
def test_processes_that_would_normalise_one_sample_each_are_refused_at_the_start_and_later(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    np.savez(tmp_path / "rows.npz", row=chance.normal(size=(20, 4)), a=chance.normal(size=(20, 1)))
    (tmp_path / "job.mtl").write_text(ROWS, encoding="utf-8")
    assert mtsldsl("train", "job.mtl", "--device", "cpu", "--quiet", cwd=tmp_path).returncode == 0
    for words in (("job.mtl",), ("--resume", "runs/job/1")):
        done = mtsldsl("train", *words, "--nproc", 2, "--device", "cpu", cwd=tmp_path)
        assert done.returncode == 1
        assert done.stderr.count("error MTL804") == 1
        assert "Traceback" not in done.stderr


def test_processes_that_would_normalise_one_sample_each_cannot_begin() -> None:
    require_even_shares(loads(ROWS), 1)
    with pytest.raises(MtlError) as refused:
        require_even_shares(loads(ROWS), 2)
    assert [each.code for each in refused.value.diagnostics] == ["MTL804"]


FAILING = """\
import atexit
import os
import signal
import torch

class Failing(torch.nn.Module):
    def forward(self, x):
        if os.environ.get("RANK") == "0":
            atexit.register(signal.sigtimedwait, {signal.SIGTERM}, 60)
        raise ValueError("it is broken")
"""


@pytest.mark.soak
def test_what_all_processes_say_is_said_once_however_late_the_first_ends(tmp_path: Path) -> None:
    """The first one ends no sooner than the launcher tells it to."""
    chance = np.random.default_rng(0)
    np.savez(tmp_path / "rows.npz", row=chance.normal(size=(20, 4)), a=chance.normal(size=(20, 1)))
    (tmp_path / "person.py").write_text(FAILING, encoding="utf-8")
    text = ROWS.replace("batch_norm", 'module("person:Failing", out=[4])').replace("batch = 2", "batch = 4")
    (tmp_path / "job.mtl").write_text(text, encoding="utf-8")
    done = mtsldsl("train", "job.mtl", "--nproc", 2, "--device", "cpu", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("ValueError: it is broken") == 1, done.stderr
