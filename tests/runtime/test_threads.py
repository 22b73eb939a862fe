"""Threads: how many compute, and that they sleep when they have nothing to do."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from mtsldsl.cli import main
from mtsldsl.editing import load, loads
from mtsldsl.runtime.run.threads import helpful
from tests import prepared

ROOT = Path(__file__).parents[2]
SETTINGS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
SMALL = """\
mtl 1
data arrays {
  path  = "x.npz"
  input = row(10)
  batch = 4
}
task price {
  target = values(1)
  head   = linear(1)
}
backbone {
  hidden = linear(100)
}
train {
  epochs = 1
}
"""
COUNTED = """\
import sys
from pathlib import Path
import torch
from mtsldsl.runtime.run.threads import use_threads
from mtsldsl.editing import load
print(torch.get_num_threads())
for given in sys.argv[1].split(","):
    use_threads(int(given) if given else None, load(sys.argv[2]), torch.device(sys.argv[4]), Path(sys.argv[3]))
    print(torch.get_num_threads())
"""


def process(*command: str, cwd: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    """A Python process with these variables, and none that says how to compute besides."""
    environment = {name: value for name, value in os.environ.items() if name not in SETTINGS} | variables
    return subprocess.run(
        [sys.executable, *command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def threads(spec: str, *, given: str = "", events: str = "", device: str = "cpu", **variables: str) -> list[int]:
    """The threads that torch computes with by itself, and then for each of the numbers given, or none."""
    words = ("-c", COUNTED, given, spec, events or "none.jsonl", device)
    nothing_said = dict.fromkeys(SETTINGS, "")  # torch has one thread there
    from_nothing = variables or device != "cpu"
    done = process(*words, **variables) if from_nothing else prepared.run(*words, cwd=ROOT, **nothing_said)
    assert done.returncode == 0, done.stderr
    return [int(line) for line in done.stdout.splitlines()]


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def test_a_thread_for_every_thousand_million_operations_of_a_step() -> None:
    scenes = load(ROOT / "specs" / "scenes.mtl")
    # four networks of 6 layers on 16 images, the gradients twice as dear as the forward pass
    assert scenes.cost().flops == 120_864_768
    assert helpful(scenes) == int(3 * 16 * 0.120864768) == 5


def test_a_small_network_computes_with_one_thread(tmp_path: Path) -> None:
    # 2 * (10 * 100 + 100 * 1) operations a row, 4 rows, thrice
    spec = loads(SMALL)
    assert 3 * 4 * spec.cost().flops == 26_400
    assert helpful(spec) == 1
    (tmp_path / "small.mtl").write_text(SMALL, encoding="utf-8")
    assert threads(str(tmp_path / "small.mtl"))[-1] == 1


def test_there_are_never_more_threads_than_cores_unless_the_person_says_so() -> None:
    assert threads("specs/scenes.mtl", given=f",{cores() + 1}")[1:] == [min(cores(), 5), cores() + 1]


@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", pytest.param("MKL_NUM_THREADS", marks=pytest.mark.soak)])
@pytest.mark.soak
def test_what_the_environment_says_counts_unless_a_number_is_given(name: str) -> None:
    found = threads("specs/nyuv2.mtl", given=",1", **{name: "2"})
    assert found[2] == 1
    if name == "OMP_NUM_THREADS" or cores() > 1:  # MKL takes no more than there are cores
        assert found[1] == 2


def test_a_run_goes_on_and_is_evaluated_with_the_threads_that_it_began_with(tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    events.write_text(json.dumps({"event": "start", "threads": 1}) + "\n", encoding="utf-8")
    assert threads("specs/scenes.mtl", given="2,", events=str(events))[-1] == 1


@pytest.mark.soak
def test_where_another_device_computes_torch_keeps_its_own_number() -> None:
    by_itself, chosen = threads("specs/scenes.mtl", device="meta")
    assert chosen == by_itself


COMMANDS = {
    "train": ("-m", "mtsldsl", "train", "--resume", "no-such-run"),
    "eval": ("-m", "mtsldsl", "eval", "no-such-run"),
    "train.py": ("generated/scenes/train.py", "--help"),
    "train as a module": ("-m", "generated.scenes.train", "--help"),
}


@pytest.mark.parametrize(
    ("command", "wanted"),
    [
        ("train", ""),
        ("train.py", "ACTIVE"),
        pytest.param("eval", "", marks=pytest.mark.soak),
        pytest.param("train.py", "", marks=pytest.mark.soak),
        pytest.param("train as a module", "", marks=pytest.mark.soak),
        pytest.param("train", "ACTIVE", marks=pytest.mark.soak),
    ],
)
@pytest.mark.soak
def test_idle_threads_sleep_unless_the_person_wants_it_otherwise(command: str, wanted: str) -> None:
    given = {"OMP_WAIT_POLICY": wanted} if wanted else {}
    done = process(*COMMANDS[command], OMP_DISPLAY_ENV="TRUE", **given)
    # OpenMP itself says what it goes by when torch is loaded
    assert re.findall(r"OMP_WAIT_POLICY\s*=\s*'(\w+)'", done.stderr) == [wanted or "PASSIVE"], done.stderr


@pytest.mark.parametrize("wrong", ["0", "many", "1025"])
def test_a_number_of_threads_that_is_none_is_a_mistake_of_usage(wrong: str) -> None:
    for command in ("train", "eval"):
        result = CliRunner().invoke(main, [command, "no-such-run", f"--threads={wrong}"])
        assert (result.exit_code, "--threads" in result.output) == (2, True)


def test_the_script_by_itself_refuses_it_too() -> None:
    done = prepared.run("generated/scenes/train.py", "--threads=0", cwd=ROOT)
    assert done.returncode == 2
    assert "argument --threads: 0 is no number from 1 to 1024" in done.stderr
