"""docs/logging.md: its loggers for W&B and MLflow, installed as it says. Where a library is not installed, an object
that notes its calls stands for it."""

from __future__ import annotations

import json
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests import prepared
from tests.docs.pages import DOCS, examples

FILES = {word: example.text for example in examples(DOCS / "logging.md", "mtl", "py", "toml") for word in example.words}

STANDING_IN = """\
import json

class Noted:
    def __init__(self, name, file):
        self.name, self.file = name, file

    def __getattr__(self, name):
        if name.endswith("id"):
            return "an-id"
        return Noted(f"{self.name}.{name}".lstrip("."), self.file)

    def __call__(self, *words, **named):
        print(json.dumps([self.name, words, named], default=str), file=self.file, flush=True)
        return self

noted = Noted("", open("noted.jsonl", "a"))
globals().update({name: getattr(noted, name) for name in NAMES})
"""
CALLED = {
    "wandb": ["init"],
    "mlflow": ["set_experiment", "start_run", "log_params", "log_metric", "end_run"],
}


@pytest.mark.parametrize("library", ["wandb", pytest.param("mlflow", marks=pytest.mark.soak)])
def test_a_logger_of_the_page_is_told_a_run_that_goes_on(library: str, tmp_path: Path) -> None:
    declared = tomllib.loads(FILES["pyproject.toml"])["project"]["entry-points"]["mtsldsl.loggers"]
    packages, record = tmp_path / "packages", tmp_path / "packages" / "loggers-1.0.dist-info"
    record.mkdir(parents=True)
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: loggers\nVersion: 1.0\n")
    (record / "entry_points.txt").write_text(
        "\n".join(["[mtsldsl.loggers]", *(f"{name} = {place}" for name, place in declared.items())]) + "\n"
    )
    module = declared[library].partition(":")[0]
    (packages / f"{module}.py").write_text(FILES[f"{module}.py"], encoding="utf-8")
    real = find_spec(library) is not None
    if not real:
        (packages / f"{library}.py").write_text(STANDING_IN.replace("NAMES", repr(CALLED[library])), encoding="utf-8")
    (tmp_path / "job.mtl").write_text(FILES["job.mtl"], encoding="utf-8")
    variables = {
        "PYTHONPATH": str(packages),
        "WANDB_MODE": "offline",
        "WANDB_ERROR_REPORTING": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ALLOW_FILE_STORE": "true",
        "MLFLOW_TRACKING_URI": (tmp_path / "mlruns").as_uri(),
    }
    for words in (("job.mtl", "--log", library), ("--resume", "runs/job/1")):
        (tmp_path / "runs/job/1/report.html").unlink(missing_ok=True)  # as one that was killed before it was written
        done = prepared.run("-m", "mtsldsl", "train", *words, "--quiet", "--device", "cpu", cwd=tmp_path, **variables)
        assert done.returncode == 0, done.stderr
        assert "the logger" not in done.stderr
    assert (tmp_path / "runs" / "job" / "1" / f"{library}.id").read_text(encoding="utf-8")
    if not real:
        calls = [json.loads(line) for line in (tmp_path / "noted.jsonl").read_text(encoding="utf-8").splitlines()]
        _look_at(library, calls)


def _look_at(library: str, calls: list[tuple[str, list[object], dict[str, object]]]) -> None:
    """What the library was told: which run, where it goes on the same one, and the points of both epochs."""
    begin, know, log = {"wandb": ("init", "id", "init.log"), "mlflow": ("start_run", "run_id", "log_metric")}[library]
    begun = [named[know] for name, _, named in calls if name.endswith(begin)]
    assert begun == [None, "an-id"]
    points = {
        (key, named["step"])
        for name, words, named in calls
        if name.endswith(log.partition(".")[2] or log)
        for key in (words[0] if isinstance(words[0], dict) else [words[0]])
    }
    assert {("validation/depth/rmse", 1), ("validation/depth/rmse", 2), ("train/edge/loss", 2)} <= points
