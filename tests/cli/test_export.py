"""`mtsldsl export` in real processes: the file, its model card, and what is left as it was."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file, save_file

import mtsldsl
from mtsldsl.cli.show import drawn
from mtsldsl.diagnostics import MtlError
from mtsldsl.language.targets import TARGETS
from mtsldsl.runtime.run.checkpoint import MEAN
from mtsldsl.runtime.run.event_lines import short
from mtsldsl.runtime.run.exported import Exported, export
from mtsldsl.runtime.run.folder import RunFolder
from mtsldsl.runtime.run.model_card import OUTPUTS, model_card
from tests import prepared
from tests.docs.pages import examples

SPEC = """\
mtl 1

# Cells of a photograph: ```dark``` and light.
data arrays {
  path  = "cells.npz"
  input = image(3, 8, 8)
  batch = 8
}

task bright {
  target = binary(1)
  head   = conv2d(1, 1)
}

task level {
  target = values(1)
  head   = conv2d(1, 1)
}

backbone {
  stem = conv2d(4, 3) | batch_norm | relu | dropout(0.5)
  last = conv2d(3, 3) | relu
}

train {
  epochs    = 2
  optimizer = adam(lr=1e-2)
}

sharing {
  stem = all
}
"""


def mtsldsl_process(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return prepared.run("-m", "mtsldsl", *arguments, cwd=cwd)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run; not to be changed."""
    folder = tmp_path_factory.mktemp("trained")
    image = np.random.default_rng(0).random((60, 3, 8, 8), dtype=np.float32)
    level = image.mean(1, keepdims=True)
    np.savez(folder / "cells.npz", image=image, level=level, bright=(level > 0.5).astype(np.uint8))
    (folder / "cells.mtl").write_text(SPEC, encoding="utf-8")
    done = mtsldsl_process("train", "cells.mtl", "--device", "cpu", "--quiet", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained, tmp_path / "copy")
    return tmp_path / "copy"


@pytest.fixture(scope="module")
def exported(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A copy with an ONNX file, and what the command printed; not to be changed."""
    folder = tmp_path_factory.mktemp("exported") / "copy"
    shutil.copytree(trained, folder)
    done = mtsldsl_process("export", "runs/cells/1", "--to", "onnx", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    return folder, done.stdout


def events(folder: Path, kind: str) -> list[dict[str, Any]]:
    lines = (folder / "runs/cells/1/events.jsonl").read_text(encoding="utf-8").splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == kind]


def test_an_onnx_file_computes_what_the_best_weights_do_for_any_batch(exported: tuple[Path, str]) -> None:
    folder, printed = exported
    path = folder / "runs/cells/1/export/cells.onnx"
    line = rf"runs/cells/1/export/cells.onnx: {path.stat().st_size:,} bytes; no number differs from torch's by more than (\S+) of the largest of its output\n"
    said = re.fullmatch(line, printed)
    assert said is not None, printed
    assert 0 <= float(said[1]) < 1e-5
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [(each.name, each.shape) for each in session.get_inputs()] == [("image", ["batch", 3, 8, 8])]
    outputs = [(each.name, each.shape) for each in session.get_outputs()]
    assert outputs == [("bright", ["batch", 1, 8, 8]), ("level", ["batch", 1, 8, 8])]
    _, model = mtsldsl.load_run(folder / "runs/cells/1")
    for count in (1, 5):
        image = np.random.default_rng(count).random((count, 3, 8, 8), dtype=np.float32)
        with torch.no_grad():
            wanted = model(torch.from_numpy(image))
        for name, found in zip(("bright", "level"), session.run(None, {"image": image}), strict=True):
            np.testing.assert_allclose(found, wanted[name].numpy(), rtol=1e-4, atol=1e-5)
    about = json.loads(session.get_modelmeta().custom_metadata_map["mtsldsl"])
    assert about["tasks"] == ["bright", "level"]
    assert about["epochs"] == events(folder, "test")[0]["epochs"]
    assert mtsldsl.loads(about["spec"]) == mtsldsl.load_run(folder / "runs/cells/1")[0]
    assert str(folder).encode() not in path.read_bytes()
    assert b"site-packages" not in path.read_bytes()


def written(
    folder: Path, form: str, output: Path | None = None, tasks: tuple[str, ...] = (), of: str = MEAN
) -> tuple[Exported, str]:
    """What the command writes, without a process."""
    run = RunFolder.open(folder / "runs/cells/1")
    made = export(run, form, output, tasks, of)
    card = model_card(made, run, drawn(made.network.spec, made.only))
    made.write(card)
    return made, card


def loaded_as_told(card: Path, monkeypatch: pytest.MonkeyPatch, **values: object) -> dict[str, Any]:
    """The names after the Python of a card, run in its folder."""
    (example,) = examples(card, "python")
    monkeypatch.chdir(card.parent)
    names: dict[str, Any] = {"__name__": "__main__", **values}
    exec(compile(example.text, card, "exec"), names)
    return names


def close(found: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor]) -> bool:
    return list(found) == list(wanted) and all(torch.allclose(found[name], wanted[name], atol=1e-5) for name in wanted)


def test_the_card_of_an_onnx_file_says_how_to_load_it(
    exported: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = exported
    image = torch.rand(3, 3, 8, 8)
    _, model = mtsldsl.load_run(folder / "runs/cells/1")
    card = folder / "runs/cells/1/export/cells.onnx.md"
    bright, level = loaded_as_told(card, monkeypatch, image=image.numpy())["outputs"]
    with torch.no_grad():
        assert close({"bright": torch.from_numpy(bright), "level": torch.from_numpy(level)}, model(image))


@pytest.mark.parametrize("form", ["pt2", "safetensors"])
def test_so_do_those_of_the_others_also_under_another_name(
    form: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = torch.rand(3, 3, 8, 8)
    _, model = mtsldsl.load_run(folder / "runs/cells/1")
    written(folder, form, folder / 'it\'s "mine"')
    with torch.no_grad():
        names = loaded_as_told(folder / 'it\'s "mine".md', monkeypatch, image=image)
        assert close(names["network"](image), model(image))


def test_weights_are_those_of_the_best_epoch_bit_for_bit(folder: Path) -> None:
    made, _ = written(folder, "safetensors")
    found = load_file(made.path)
    wanted = load_file(folder / "runs/cells/1/best/mean.weights.safetensors")
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    assert made.difference == 0


def test_the_card_has_the_numbers_of_the_run(folder: Path) -> None:
    made, card = written(folder, "safetensors")
    (start,), (test,) = events(folder, "start"), events(folder, "test")
    validations = {event["epoch"]: event for event in events(folder, "validation")}
    rows = {
        tuple(cell.strip() for cell in line.strip("| ").split("|")) for line in card.splitlines() if line[:1] == "|"
    }
    for task, epoch in test["epochs"].items():
        validation = validations[epoch]
        for key, value in test["metrics"][task].items():
            (row,) = [row for row in rows if row[:3] == (task, str(epoch), key)]
            assert row[4:] == (short(validation["metrics"][task][key]), short(value))
        (row,) = [row for row in rows if row[0] == task and row[2].startswith("loss ")]
        assert row[4:] == (short(validation["losses"][task]), short(test["losses"][task]))
    cost = made.network.spec.cost()
    assert f"{cost.parameters:,} parameters, {cost.flops:,} floating-point operations" in card
    sizes = ", ".join(f"{found['samples']} {split}" for split, found in start["data"].items())
    for said in (sizes, "`cells.npz`", "seed 0", start["torch"], start["spec_sha256"]):
        assert said in card
    assert "bright head" in card
    (spec,) = examples(made.path.with_name(f"{made.path.name}.md"), "mtl")
    assert spec.text == made.network.spec.source.text


def test_for_some_tasks_the_card_counts_what_they_need(folder: Path) -> None:
    made, card = written(folder, "pt2", tasks=("level",))
    cost = made.network.spec.cost().tasks["level"]
    assert f"{cost.parameters:,} parameters, {cost.flops:,} floating-point operations" in card
    assert "| bright |" not in card
    (tree,) = examples(made.path.with_name(f"{made.path.name}.md"), "text")
    assert f"  {cost.parameters:,} parameters, " in tree.text.splitlines()[0]
    assert "level head" in tree.text
    assert "bright" not in tree.text


def test_a_task_may_be_taken_at_its_own_best_epoch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = folder / "runs/cells/1"
    lines = [json.loads(line) for line in (run / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    (own,) = [each for each in lines if each["event"] == "best" and each["own"] and each["tasks"] == ["level"]][-1:]
    weights = run / "best/tasks/level.weights.safetensors"  # those of another epoch than the network's, for certain
    state = {name: value + 1 if name.startswith("heads") else value for name, value in load_file(weights).items()}
    save_file(state, weights)

    made, card = written(folder, "pt2", of="level")
    assert made.path == run / "export/cells_level.pt2"
    assert made.epochs == {"level": own["epoch"]}
    assert "| bright |" not in card
    assert "The epoch is the best one of this task alone, on validation." in card
    image = torch.rand(3, 3, 8, 8)
    found = loaded_as_told(run / "export/cells_level.pt2.md", monkeypatch, image=image)["network"](image)
    with torch.no_grad():
        assert close(found, mtsldsl.load_run(run, of="level")[1](image))
        assert not torch.allclose(found["level"], mtsldsl.load_run(run)[1](image)["level"], atol=1e-2)
    with pytest.raises(MtlError, match="leave out `--of`"):
        written(folder, "safetensors", of="level")
    with pytest.raises(MtlError, match="MTL107"):
        written(folder, "pt2", of="levle")


def test_a_run_that_did_not_end_has_a_card_without_a_test(folder: Path) -> None:
    path = folder / "runs/cells/1/events.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(line for line in lines if '"event": "test"' not in line), encoding="utf-8")
    best = folder / "runs/cells/1/best/mean.mtl"
    best.write_text(
        best.read_text(encoding="utf-8").replace("train {", "train {\n  precision = bf16"), encoding="utf-8"
    )
    _, card = written(folder, "safetensors")
    assert "The run has no test of these weights" in card
    assert "computed in bf16" in card


def test_a_run_whose_record_is_gone_is_refused(folder: Path) -> None:
    (folder / "runs/cells/1/events.jsonl").write_text("", encoding="utf-8")
    with pytest.raises(MtlError, match="MTL801"):
        written(folder, "safetensors")


def test_every_kind_of_target_is_told_of() -> None:
    assert OUTPUTS.keys() == TARGETS.keys()


def refused(folder: Path, *arguments: str, status: int = 1) -> str:
    done = mtsldsl_process("export", "runs/cells/1", *arguments, cwd=folder)
    assert (done.returncode, done.stdout) == (status, ""), done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_what_cannot_be_compared_leaves_the_files_as_they_were(folder: Path) -> None:
    weights = folder / "runs/cells/1/best/mean.weights.safetensors"
    state = load_file(weights)
    state["heads.level.conv1.bias"].fill_(torch.nan)
    save_file(state, weights)
    for name in ("cells.pt2", "cells.pt2.md"):
        (folder / name).write_text("before", encoding="utf-8")
    found = sorted(folder.rglob("*"))
    said = refused(folder, "--to", "pt2", "-o", "cells.pt2")
    assert "MTL811" in said
    assert "the output of `level` is not finite" in said
    refused(folder, "--to", "pt2")
    assert sorted(folder.rglob("*")) == found
    assert {(folder / name).read_text(encoding="utf-8") for name in ("cells.pt2", "cells.pt2.md")} == {"before"}


def test_what_is_asked_for_wrongly_is_told(folder: Path) -> None:
    assert "did you mean `level`?" in refused(folder, "--to", "pt2", "--task", "levle")
    assert "leave out `--task`" in refused(folder, "--to", "safetensors", "--task", "level")
    assert "leave --task out" in refused(folder, "--to", "pt2", "--of", "level", "--task", "bright", status=2)
    assert "runs is a folder" in refused(folder, "--to", "pt2", "-o", "runs", status=2)
    assert "MTL703" in refused(folder, "--to", "safetensors", "-o", "none/cells.safetensors")
    assert not (folder / "runs/cells/1/export").exists()


def test_without_the_extra_it_is_named(folder: Path) -> None:
    (folder / "onnxscript.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'onnxscript'\", name='onnxscript')\n", encoding="utf-8"
    )
    said = refused(folder, "--to", "onnx")
    assert "MTL808" in said
    assert "pip install 'mtsldsl[export]'" in said
