"""A run on two data blocks in real processes: trained, killed and resumed, evaluated, read again, in its own file."""

from __future__ import annotations

import json
import re
import shutil
from html import unescape
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import mtsldsl as package
from mtsldsl.editing import load
from mtsldsl.methods.similarities import Incomparable
from mtsldsl.runtime.data import load_data
from mtsldsl.runtime.run.data_record import recorded_places
from mtsldsl.runtime.run.event_lines import label_lines
from tests import prepared
from tests.cli.test_train import KILLED, disturbed, mtsldsl
from tests.compare.merging import edited
from tests.given import needs_data
from tests.ir.data_blocks import TWO
from tests.runtime.two_sources import written

pytestmark = needs_data

STRUCTURE = """\
structure mtsl {
  phases     = [1, 2]
  threshold  = 0.1
  similarity = cka(samples=60)
  transfer   = amalgamate(epochs=1)
}
"""
APART = TWO[: TWO.index("sharing {")] + STRUCTURE
ALIKE = edited(APART, ("24, 24", "16, 16"), ("temperature(0.5)", "round_robin"))


@attrs.frozen
class Finished:
    """A job's folder, that of its run, and the events of it."""

    job: Path
    folder: Path
    events: list[dict[str, Any]]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == kind]

    @property
    def weights(self) -> bytes:
        return next((self.folder / "checkpoints").glob("*/weights.safetensors")).read_bytes()


def trained(job: Path, *words: str) -> Finished:
    printed = mtsldsl("train", "two.mtl", "--json", "--device", "cpu", *words, cwd=job)
    return Finished(job, job / "runs" / "two" / "1", [json.loads(line) for line in printed.splitlines()])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Two blocks of pictures of two sizes."""
    job = tmp_path_factory.mktemp("job")
    written(job, APART)
    return trained(job)


@pytest.fixture(scope="module")
def alike(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Two blocks of pictures of one size."""
    job = tmp_path_factory.mktemp("alike")
    written(job, ALIKE, large_size=16)
    return trained(job)


def test_layers_merge_among_tasks_of_one_size_and_that_others_never_do_is_said(run: Finished) -> None:
    spec = load(run.folder / "spec.mtl")
    assert set(spec.sharing.component("stem", "digit")) == {"digit", "ink"}
    assert all(spec.sharing.component(layer, "letter") == {"letter"} for layer in spec.backbone.layers)
    said = run.of("incomparable")
    (words,) = Incomparable(epoch=1, layer=said[0]["layer"], tasks=said[0]["tasks"]).lines()
    assert words == (
        "stem: digit + ink and letter have inputs of other sizes, so they are not compared, and never merge here"
    )
    assert [(each["epoch"], each["layer"]) for each in said] == [(1, "stem")]
    assert sorted(map(sorted, said[0]["tasks"])) == [["digit", "ink"], ["letter"]]
    assert not [each for each in run.of("similarity") if "letter" in each["tasks"]]


def test_layers_merge_across_blocks_of_one_size(alike: Finished) -> None:
    spec = load(alike.folder / "spec.mtl")
    merged = [merge for phase in alike.of("phase") for merge in phase["merges"]]
    assert merged
    assert any("letter" in each["tasks"] and len(each["tasks"]) > 1 for each in merged)
    assert alike.of("incomparable") == []
    assert len(spec.sharing.sources) == 2
    assert [line.fields["layer"] for line in spec.history] == [each["layer"] for each in merged]
    reported = [phase["amalgamation"] for phase in alike.of("phase") if phase["merges"]]
    assert all(found for found in reported)


def test_the_samples_of_each_source_are_counted(run: Finished) -> None:
    (start,) = run.of("start")
    for split in start["data"].values():
        assert set(split["sources"]) == {"small", "large"}
        assert sum(split["sources"].values()) == split["samples"]
    lines = label_lines(start["data"])
    assert lines[1] == "  of `small`: " + ", ".join(
        f"{found['sources']['small']} {split}" for split, found in start["data"].items()
    )


def test_losses_and_metrics_come_in_the_order_of_the_tasks(run: Finished) -> None:
    for event in (*run.of("epoch"), *run.of("validation")):
        names = [name for name in event["losses"] if name in ("digit", "ink", "letter")]
        assert names == ["digit", "ink", "letter"]
    (test,) = run.of("test")
    assert set(test["metrics"]) == {"digit", "ink", "letter"}


@pytest.mark.soak
def test_a_run_that_is_killed_and_resumed_ends_with_the_same_bytes(run: Finished, tmp_path: Path) -> None:
    written(tmp_path, APART)
    action = f"if training.epoch == 2: {KILLED}"  # when layers have merged
    assert disturbed("train", "two.mtl", "--quiet", "--device", "cpu", action=action, cwd=tmp_path).returncode == -9
    folder = tmp_path / "runs" / "two" / "1"
    assert load(folder / "spec.mtl").history
    mtsldsl("train", "--resume", str(folder), "--quiet", "--device", "cpu", cwd=tmp_path)
    assert Finished(tmp_path, folder, []).weights == run.weights
    assert (folder / "spec.mtl").read_bytes() == (run.folder / "spec.mtl").read_bytes()


def test_the_run_is_evaluated_and_loaded_with_each_task_on_its_own_samples(run: Finished) -> None:
    printed = json.loads(mtsldsl("eval", str(run.folder), "--json", "--device", "cpu", cwd=run.job))
    spec, model = package.load_run(run.folder)
    model.eval()
    test = load_data(load(run.folder / "spec.mtl", {}), recorded_places(spec, run.folder / "events.jsonl")).test
    with torch.no_grad():
        outputs = model(test.parts["large"].fields["image"], ("letter",))
        outputs |= model(test.parts["small"].fields["image"].float() / 255, ("digit", "ink"))
    for task, source in (("letter", "large"), ("digit", "small")):
        right = outputs[task].argmax(1).numpy() == test.parts[source].fields[task].numpy()
        assert printed["metrics"][task]["accuracy"] == pytest.approx(right.mean())
    assert set(printed["metrics"]) == {"digit", "ink", "letter"}
    one = json.loads(mtsldsl("eval", str(run.folder), "--json", "--device", "cpu", "--of", "letter", cwd=run.job))
    assert set(one["metrics"]) == {"letter"}
    assert [data.name for data in spec.blocks] == ["small", "large"]


def test_the_report_says_how_to_repeat_the_run_as_its_record_does(run: Finished) -> None:
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert all(task in page for task in ("digit", "ink", "letter"))
    section = page.partition("<h2>How to repeat it</h2>")[2]
    (start,) = run.of("start")
    expected = {
        "command": "mtsldsl train two.mtl --device cpu --json",
        "seed": str(start["seed"]),
        "computed on": f"cpu, threads {start['threads']}",
        "versions": f"mtsldsl {start['version']}, torch {start['torch']}, Python {start['python']}",
        "spec, SHA-256 of its meaning at the start": start["spec_sha256"],
    }
    for name, block in start["read"]["blocks"].items():
        expected[f"data, path of {name}"] = f"{name}.npz"
        assert block["given"] == f"{name}.npz"
        expected |= {f"data, SHA-256 of {name} {field}": digest for field, digest in block["sha256"].items()}
    pairs = re.findall(r"<dt>(.*?)</dt><dd><code>(.*?)</code></dd>", section)
    assert {name: unescape(value) for name, value in pairs} == expected
    assert start["command"] == expected["command"]
    (text,) = re.findall(r"started with</summary>.*?<pre>(.*?)</pre>", section, re.S)
    assert unescape(text) == (run.job / "two.mtl").read_text(encoding="utf-8")
    assert unescape(text) != (run.folder / "best" / "mean.mtl").read_text(encoding="utf-8")


def test_data_that_changed_is_told_of_by_its_block(run: Finished, tmp_path: Path) -> None:
    job = tmp_path / "job"
    shutil.copytree(run.job, job)
    with np.load(job / "large.npz") as arrays:
        held = dict(arrays)
    held["letter"] = held["letter"][::-1]
    np.savez(job / "large.npz", **held)
    done = prepared.run("-m", "mtsldsl", "eval", "runs/two/1", "--device", "cpu", cwd=job)
    assert done.returncode == 0, done.stderr
    assert "warning: the data is not what it was" in done.stderr
    assert "large.npz has other values of `letter`" in done.stderr
    assert "small.npz" not in done.stderr
    done = prepared.run(
        "-m", "mtsldsl", "eval", "runs/two/1", "--device", "cpu", "--set", "data.small.seed=3", cwd=run.job
    )
    assert "`seed` of `data small` is 3, and was 0" in done.stderr


def test_the_file_follows_the_run_and_the_same_again_gives_the_same_bytes(run: Finished, tmp_path: Path) -> None:
    path = written(tmp_path, APART)
    again = trained(tmp_path, "--in-place")
    assert again.weights == run.weights
    assert (again.folder / "spec.mtl").read_bytes() == (run.folder / "spec.mtl").read_bytes()
    own, evolved = load(path), load(again.folder / "spec.mtl")
    assert own.sharing == evolved.sharing
    assert own.blocks == evolved.blocks
    assert path.read_text(encoding="utf-8").startswith(APART[: APART.index("structure")].rstrip())
    weights = load_file(next((again.folder / "checkpoints").glob("*/weights.safetensors")))
    assert any(name.startswith("stem.digit+ink.") for name in weights)
