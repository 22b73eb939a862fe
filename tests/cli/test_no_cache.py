"""Whole runs in real processes with what is decoded kept, taken from there, and neither: the same bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests import prepared
from tests.runtime.data.test_kept_splits import TEXT, plant
from tests.runtime.data.test_nyuv2 import image_files, write_zip


class Job:
    """A small archive, a spec of it, and a folder of its own for what is kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        archive = write_zip(folder / "nyu.zip", image_files(12, 3))
        (folder / "rooms.mtl").write_text(TEXT.format(place=archive), encoding="utf-8")

    def command(self, *words: str) -> str:
        done = prepared.run(*words, cwd=self.folder, XDG_CACHE_HOME=str(self.folder / "cache"))
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def mtsldsl(self, *words: str) -> str:
        return self.command("-m", "mtsldsl", *words, "--device", "cpu")

    @property
    def kept(self) -> list[tuple[str, bytes, int]]:
        files = sorted((self.folder / "cache" / "mtsldsl").glob("data-*"))
        return [(file.name, file.read_bytes(), file.stat().st_mtime_ns) for file in files]

    def run(self, number: int) -> dict[str, Any]:
        """All that a run wrote, without the times."""
        folder = self.folder / "runs" / "rooms" / str(number)
        written: dict[str, Any] = {
            str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.suffix in (".safetensors", ".mtl", ".py")
        }
        assert "best/mean.weights.safetensors" in written
        lines = (folder / "events.jsonl").read_text(encoding="utf-8").splitlines()
        timed = {"seconds", "epoch_seconds", "samples_per_second", "peak_memory_mb", "folder", "command"}
        events = [{key: value for key, value in json.loads(line).items() if key not in timed} for line in lines]
        return written | {"events": events}


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


TRAIN = ("train", "rooms.mtl", "--quiet")


@pytest.mark.soak
def test_a_run_and_its_evaluation_are_the_same_cold_warm_and_without(job: Job) -> None:
    job.mtsldsl(*TRAIN, "--no-cache")
    assert job.kept == []
    job.mtsldsl(*TRAIN)
    assert len(job.kept) == 1
    job.mtsldsl(*TRAIN)
    without, cold, warm = (job.run(number) for number in (1, 2, 3))
    assert cold == without
    assert warm == without
    said = [job.mtsldsl("eval", f"runs/rooms/{number}", "--json") for number in (1, 2, 3)]
    said.append(job.mtsldsl("eval", "runs/rooms/1", "--json", "--no-cache"))
    assert set(said) == {said[0]}
    assert len(job.kept) == 1


@pytest.mark.soak
def test_without_neither_train_nor_resume_nor_eval_reads_or_writes_what_is_kept(job: Job) -> None:
    job.mtsldsl(*TRAIN)
    for name, _, _ in job.kept:
        plant(job.folder / "cache" / "mtsldsl" / name)
    before = job.kept
    job.mtsldsl(*TRAIN, "--no-cache")
    job.mtsldsl("train", "--resume", "runs/rooms/2", "--quiet", "--no-cache")
    evaluated = [json.loads(job.mtsldsl("eval", f"runs/rooms/{number}", "--json", "--no-cache")) for number in (1, 2)]
    assert job.kept == before
    assert job.run(2)["best/mean.weights.safetensors"] == job.run(1)["best/mean.weights.safetensors"]
    assert evaluated[0] == evaluated[1]
    job.command("-m", "mtsldsl", "compile", "rooms.mtl")
    job.command("generated/rooms/train.py", "--display", "quiet", "--device", "cpu", "--no-cache")
    assert job.kept == before
    assert job.run(3)["best/mean.weights.safetensors"] == job.run(1)["best/mean.weights.safetensors"]
    job.mtsldsl(*TRAIN)  # which does read it
    assert job.run(4)["best/mean.weights.safetensors"] != job.run(1)["best/mean.weights.safetensors"]


@pytest.mark.parametrize("command", ["train", "eval"])
def test_the_help_says_so(command: str, job: Job) -> None:
    assert "--no-cache" in job.command("-m", "mtsldsl", command, "--help")
