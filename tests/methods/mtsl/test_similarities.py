"""`structure mtsl` with each similarity: what its settings come to, what is refused or doubted, and whole runs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from mtsldsl.codegen import compile_spec
from mtsldsl.diagnostics import MtlError, Source
from mtsldsl.editing import load, loads
from mtsldsl.editing.checking import check
from mtsldsl.methods.mtsl.language import Settings
from mtsldsl.methods.similarities import SIMILARITIES
from tests import prepared
from tests.cli.test_train import KILLED, disturbed
from tests.scenes import SEGMENT, rooms

TEXT = (
    rooms(60)
    + SEGMENT
    + """
backbone {
  stem = conv2d(6, 3, stride=2) | batch_norm | relu
  last = conv2d(6, 3) | relu
}

train {
  epochs = 4
}

structure mtsl {
  phases     = [1, 2]
  similarity = cka
}
"""
)
NAMES = [rule.name for rule in SIMILARITIES.rules]


def text_of(similarity: str, *more: str) -> str:
    return TEXT.replace("similarity = cka\n", "\n  ".join([f"similarity = {similarity}", *more, ""]))


def settings_of(similarity: str, *more: str) -> Settings:
    spec = loads(text_of(similarity, *more))
    assert spec.structure is not None
    found = spec.structure.settings
    assert isinstance(found, Settings)
    return found


@pytest.mark.parametrize(
    ("similarity", "threshold", "align"),
    [
        ("cka", 0.8, 0.2),
        ("rsa", 0.8, 0.0),
        ("readout", 0.8, 0.0),
        ("stitched", 0.8, 0.0),
        ("gradient", 0.0, 0.0),
        ("transference", 0.0, 0.0),
    ],
)
def test_threshold_and_align_go_with_the_similarity(similarity: str, threshold: float, align: float) -> None:
    found = settings_of(similarity)
    assert (found.threshold, found.align) == (threshold, align)
    assert settings_of(similarity, "threshold = 0.3", "align = 0").threshold == 0.3
    assert settings_of(similarity).similarity.samples == 800


def test_a_step_has_the_learning_rate_of_the_optimizer_or_its_own() -> None:
    assert getattr(settings_of("transference").similarity, "lr") == 1e-3  # noqa: B009
    assert getattr(settings_of("transference(lr=0.5)").similarity, "lr") == 0.5  # noqa: B009


@pytest.mark.parametrize("similarity", [name for name in NAMES if name != "cka"])
def test_features_are_drawn_together_by_what_compares_them_or_not_at_all(similarity: str) -> None:
    text = text_of(similarity, "align = 0.1")
    with pytest.raises(MtlError) as raised:
        loads(text)
    (found,) = raised.value.diagnostics
    assert (found.code, text.splitlines()[found.place[0] - 1]) == ("MTL202", "  align = 0.1")
    assert f"and `{similarity}` compares them" in found.cause


@pytest.mark.parametrize(
    ("similarity", "threshold", "doubted"),
    [
        ("cka", 1, "no similarity is above 1"),
        ("cka(debiased=false)", 0, "every similarity is above 0"),
        ("cka", 0, None),
        ("rsa", -1, "every similarity is above -1"),
        ("rsa", 0.3, None),
        ("readout", 0, "every similarity is above 0"),
        ("stitched", 1, "no similarity is above 1"),
        ("stitched", 0.5, None),
        ("gradient", 1, "no similarity is above 1"),
        ("gradient", 0, None),
        ("transference", 0.8, "no one step lowers the loss of another task by 80%"),
        ("transference", -1, None),
        ("transference", 1, "no similarity is above 1"),
    ],
)
def test_a_threshold_that_cannot_bind_is_doubted(similarity: str, threshold: float, doubted: str | None) -> None:
    report = check(Source("s.mtl", text_of(similarity, f"threshold = {threshold}")), pedantic=True)
    causes = [each.cause for each in report.diagnostics if each.code == "MTL933"]
    assert [cause.startswith(str(doubted)) for cause in causes] == ([True] if doubted else [])


@pytest.mark.parametrize("similarity", NAMES)
def test_the_script_makes_the_learner_with_it(similarity: str) -> None:
    script = next(text for name, text in compile_spec(loads(text_of(similarity))).items() if name.endswith("train.py"))
    assert f"similarity={similarity.capitalize()}(samples=800" in script
    (imported,) = re.findall("from mtsldsl.methods.mtsl.learner import (.*)", script)
    assert set(imported.split(", ")) == {similarity.capitalize(), "Mtsl", "Settings"}


def trained(folder: Path, similarity: str, *, killed: bool = False) -> Path:
    folder.mkdir()
    (folder / "job.mtl").write_text(text_of(similarity, "threshold = -1"), encoding="utf-8")
    arguments = ["train", "job.mtl", "--quiet", "--device", "cpu", "--threads", "1"]
    if killed:
        assert disturbed(*arguments, action=f"if training.epoch == 1: {KILLED}", cwd=folder).returncode == -9
        arguments = ["train", "--quiet", "--threads", "1", "--resume", "runs/job/1"]
    done = prepared.run("-m", "mtsldsl", *arguments, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "runs" / "job" / "1"


def found_in(run: Path) -> list[dict[str, Any]]:
    lines = (run / "events.jsonl").read_text(encoding="utf-8").splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == "similarity"]


@pytest.mark.parametrize(
    "similarity",
    [
        *(
            pytest.param(f"{name}(samples=24)", marks=pytest.mark.soak)
            for name in ("rsa", "readout", "stitched", "gradient")
        ),
        "transference(samples=24)",
    ],
)
def test_a_run_merges_by_it_tells_it_and_goes_on_after_a_kill_to_the_same_bytes(
    similarity: str, tmp_path: Path
) -> None:
    run = trained(tmp_path / "whole", similarity)
    found = found_in(run)
    assert [event["layer"] for event in found] == ["stem", "last"]
    evolved = load(run / "spec.mtl")
    assert evolved.sharing.component("stem", "depth") == {"depth", "edge", "segment"}
    for decision, event in zip(evolved.history, found, strict=True):
        rows = event["similarity"]
        pairs = [rows[i][j] for i in range(3) for j in range(i)]
        assert decision.fields["similarity"] == float(f"{sum(pairs) / 3:.4g}") != 0
    assert "similarities at stem" in (run / "report.html").read_text(encoding="utf-8")
    if similarity.startswith(("transference", "stitched")):
        again = trained(tmp_path / "again", similarity, killed=True)
        for name in ("spec.mtl", "best/mean.weights.safetensors", "checkpoints/epoch-004/weights.safetensors"):
            assert (again / name).read_bytes() == (run / name).read_bytes(), name
        assert found_in(again) == found
