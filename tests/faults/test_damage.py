"""A run folder that is damaged, at random: every command ends or reports, believes no damaged weights, and writes nowhere
else."""

from __future__ import annotations

import random
import shutil
import traceback
from pathlib import Path

import pytest
from click.testing import CliRunner

from mtsldsl.cli import main
from tests.faults.damage import damage
from tests.faults.kills import facts
from tests.methods.each_learner import run, text, visits

COMMANDS: tuple[tuple[str, ...], ...] = (
    ("train", "--resume", "RUN", "--quiet", "--device", "cpu"),
    ("eval", "RUN", "--device", "cpu"),
    ("log", "RUN"),
    ("log", "RUN", "--json"),
    ("show", "RUN"),
    ("diff", "job.mtl", "RUN", "--history"),
    ("export", "RUN", "--to", "safetensors", "-o", "out.safetensors"),
)
RESUME = COMMANDS[0]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run that was stopped in its last epoch but one, and `whole`, the same to its end."""
    place = tmp_path_factory.mktemp("stopped")
    patch = pytest.MonkeyPatch()
    with patch.context() as context:
        context.chdir(place)
        visits(place)
        (place / "job.mtl").write_text(text("mtsl", at=1, epochs=3), encoding="utf-8")
        assert CliRunner().invoke(main, ["train", "job.mtl", "--quiet", "--device", "cpu"]).exit_code == 0
        (place / "runs/job/1").rename(place / "whole")
        ended = run(place, text("mtsl", at=1, epochs=3), until=2)
        assert ended.path == place / "runs/job/1"
    return place


def reports(folder: Path, command: tuple[str, ...], said: str) -> int:
    """Run a command on the damaged run, which ends or reports; its exit status."""
    done = CliRunner().invoke(main, ["runs/job/1" if word == "RUN" else word for word in command])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        traceback.print_exception(done.exception)
        raise AssertionError(f"{command[0]}: {said}") from done.exception
    assert done.exit_code in (0, 1, 2), said
    assert done.exit_code == 0 or "error" in done.stderr.lower(), (said, done.output)
    return done.exit_code


def examined(stopped: Path, folder: Path, seed: int) -> bool:
    """Damage a run, run a command on it; whether the run went on, and its weights were compared."""
    chance = random.Random(seed)
    place = folder / str(seed)
    shutil.copytree(stopped, place)
    (place / "elsewhere").write_text("mine", encoding="utf-8")
    said = f"seed {seed}: {damage(place / 'runs/job/1', chance)}"
    command = RESUME if chance.random() < 0.6 else chance.choice(COMMANDS)
    with pytest.MonkeyPatch().context() as context:
        context.chdir(place)
        status = reports(place, command, said)
    assert (place / "elsewhere").read_text(encoding="utf-8") == "mine", said
    assert {path.name for path in place.iterdir()} <= {
        "runs",
        "whole",
        "elsewhere",
        "job.mtl",
        "visits.npz",
        "out.safetensors",
        "out.safetensors.md",
    }
    undone = not any(words in said for words in (" = ", " has ", " of checkpoints"))  # nothing that digests cannot tell
    compared = status == 0 and command is RESUME and undone
    now, then = (facts(place / each) for each in (("runs/job/1", "whole") if compared else ("whole", "whole")))
    for name in ("checkpoints/epoch-003/weights.safetensors", "best/mean.weights.safetensors", "spec.mtl"):
        assert now[name] == then[name], (said, name)
    shutil.rmtree(place)
    return compared


@pytest.mark.parametrize("part", range(4))
def test_a_damaged_run_folder_is_a_report(part: int, stopped: Path, tmp_path: Path) -> None:
    compared = [examined(stopped, tmp_path, seed) for seed in range(20 * part, 20 * part + 20)]
    assert any(compared)


@pytest.mark.soak
def test_ten_thousand_damaged_run_folders_are_reports(stopped: Path, tmp_path: Path) -> None:
    for seed in range(1_000, 11_000):
        examined(stopped, tmp_path, seed)
