"""`structure branch`: what is refused or doubted, and whole runs from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import pytest
import torch
from safetensors.torch import load_file

from mtsldsl import load
from mtsldsl.diagnostics import Diagnostic, Source
from mtsldsl.editing import loads
from mtsldsl.editing.checking import check
from mtsldsl.methods.branch.learner import _by_own
from tests import prepared
from tests.cli.test_train import KILLED, disturbed
from tests.ir.data_blocks import TWO
from tests.scenes import SEGMENT, rooms

TEXT = (
    rooms(60)
    + SEGMENT
    + """
backbone {
  stem = conv2d(6, 3, stride=2) | batch_norm | relu
  body = conv2d(6, 3) | batch_norm | relu
  last = body | concat(stem) | conv2d(6, 3) | relu
}

train {
  epochs = 4
}

structure branch {
  at         = 2
  similarity = rsa(samples=24)
  budget     = 0.6
}
"""
)

SHARED = TEXT.replace("rsa(samples=24)", "gradient(samples=24)") + "\nsharing {\n  stem..body = all\n  last = all\n}\n"


def reported(text: str, *, pedantic: bool = False) -> list[Diagnostic]:
    return list(check(Source("s.mtl", text), pedantic=pedantic).diagnostics)


def at(found: Diagnostic, text: str) -> str:
    return text.splitlines()[found.place[0] - 1].strip()


def test_a_sound_text_has_no_doubts() -> None:
    assert reported(TEXT, pedantic=True) == []


def test_a_budget_that_no_tree_keeps_is_refused_and_the_least_is_named() -> None:
    text = TEXT.replace("0.6", "0.3")
    (found,) = reported(text)
    spec = loads(TEXT)
    single, least = spec.cost().parameters, spec.with_sharing(spec.sharing.united()).cost().parameters
    assert (found.code, at(found, text)) == ("MTL202", "budget     = 0.3")
    assert f"{0.3 * single:,.0f} parameters" in found.cause
    assert f"there are {least:,}" in found.cause
    named = str(found.remedy).split("`budget` of ")[1].split()[0]
    assert reported(TEXT.replace("0.6", named)) == []
    assert reported(TEXT.replace("0.6", str(float(named) - 0.002)))


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        (TEXT.replace("at         = 2", "at         = 5"), "MTL501", "at         = 5"),
        (TEXT.replace("rsa(samples=24)", "gradient"), "MTL505", "similarity = gradient"),
        (TEXT.replace("rsa(samples=24)", "transference"), "MTL505", "similarity = transference"),
        (TEXT.replace("0.6", "1"), "MTL202", "budget     = 1"),
        (TEXT.replace("  last = body", "  mix  = parallel(one=conv2d(6, 3), other=identity)\n  last = body"), "MTL505", "structure branch {"),
    ],
    ids=["late", "gradient", "transference", "whole", "alternatives"],
)  # fmt: skip
def test_what_cannot_be_is_refused(text: str, code: str, line: str) -> None:
    (found,) = reported(text)
    assert (found.code, at(found, text)) == (code, line)


def test_tasks_with_inputs_of_other_sizes_share_nothing_before() -> None:
    block = "\nstructure branch {\n  at     = 1\n  budget = 0.99\n}\n"
    (found,) = reported(TWO + block)
    assert found.code == "MTL505"
    assert "`digit`" in found.cause
    assert "`letter`" in found.cause
    apart = TWO[: TWO.index("sharing {")] + block
    assert reported(apart) == []


WRONG = "  branch(epoch=1, layer=stem, tasks=depth + segment, similarity=0.9)"


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        (TEXT.replace("at         = 2", "at         = 4"), ["MTL932"]),
        (f"{TEXT}\nsharing {{\n  stem..last = all\n}}\n", ["MTL931"]),
        (SHARED.replace("last = all", "last = depth + edge, segment"), ["MTL931"]),
        (SHARED, []),
        (TEXT.replace("samples=24", "samples=500"), ["MTL934"]),
        (
            f"{TEXT}\nsharing {{\n  stem = depth + edge, segment\n}}\n\nhistory {{\n{WRONG}\n}}\n",
            ["MTL922"],
        ),
    ],
    ids=["last", "all", "parts", "whole", "samples", "history"],
)
def test_what_is_doubtful_is_said(text: str, codes: list[str]) -> None:
    assert [each.code for each in reported(text, pedantic=True)] == codes


def mtsldsl(*arguments: str, cwd: Path, status: int = 0) -> str:
    done = prepared.run("-m", "mtsldsl", *arguments, cwd=cwd)
    assert done.returncode == status, done.stderr
    return done.stdout


def trained(folder: Path, *settings: str, text: str = TEXT, killed: bool = False) -> Path:
    folder.mkdir()
    (folder / "job.mtl").write_text(text, encoding="utf-8")
    given = [word for each in settings for word in ("--set", each)]
    arguments = ["train", "job.mtl", "--quiet", "--device", "cpu", "--threads", "1", *given]
    if killed:
        assert disturbed(*arguments, action=f"if training.epoch == 1: {KILLED}", cwd=folder).returncode == -9
        arguments = ["train", "--quiet", "--threads", "1", "--resume", "runs/job/1"]
    mtsldsl(*arguments, cwd=folder)
    return folder / "runs" / "job" / "1"


def events(run: Path, kind: str) -> list[dict[str, Any]]:
    lines = (run / "events.jsonl").read_text(encoding="utf-8").splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == kind]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("branch") / "job")


def test_the_tree_is_within_the_budget_and_in_spec_history_and_record(run: Path) -> None:
    evolved, single = load(run / "spec.mtl"), loads(TEXT)
    (phase,) = events(run, "phase")
    assert evolved.cost().parameters == phase["parameters"] <= 0.6 * single.cost().parameters
    assert evolved.sharing != single.sharing
    assert phase["proven"] is True
    said = {(each.fields["layer"], frozenset(each.fields["tasks"])): each for each in evolved.history}  # type: ignore[arg-type]
    made = {(layer, component) for layer in evolved.backbone.layers for component in evolved.sharing.partition(layer) if len(component) > 1}  # fmt: skip
    assert said.keys() == made
    assert {(each.kind, each.epoch) for each in evolved.history} == {("branch", 2)}
    compared = {event["layer"]: event for event in events(run, "branch_similarity")}
    assert list(compared) == ["stem", "body", "last"]
    for (layer, component), decision in said.items():
        names, rows = compared[str(layer)]["tasks"], compared[str(layer)]["similarity"]
        inside = [names.index(task) for task in component]
        least = min(rows[i][j] for i in inside for j in inside if i != j)
        assert decision.fields["similarity"] == float(f"{least:.4g}")


def test_a_phase_is_told(run: Path) -> None:
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "similarities at body" in page
    assert "branch(epoch=2, layer=stem" in page


@pytest.mark.soak
def test_a_run_that_was_killed_before_the_phase_goes_on_to_the_same_bytes(run: Path, tmp_path: Path) -> None:
    again = trained(tmp_path / "again", killed=True)
    for name in (
        "spec.mtl",
        "best/mean.weights.safetensors",
        "checkpoints/epoch-004/weights.safetensors",
        "checkpoints/epoch-004/optimizer.safetensors",
    ):
        assert (again / name).read_bytes() == (run / name).read_bytes(), name


@pytest.mark.soak
def test_it_begins_anew_or_with_the_mean(run: Path, tmp_path: Path) -> None:
    mean = trained(tmp_path / "mean", "structure.transfer=average")
    (anew,), (as_mean,) = events(run, "phase"), events(mean, "phase")
    assert as_mean["decisions"] == anew["decisions"]
    assert all(as_mean["after"]["losses"][task] != anew["after"]["losses"][task] for task in as_mean["after"]["losses"])
    optimizers = [load_file(each / "checkpoints" / "epoch-004" / "optimizer.safetensors") for each in (run, mean)]
    steps = [{float(value) for name, value in each.items() if name.endswith("step")} for each in optimizers]
    assert steps == [{2.0 * 5}, {4.0 * 5}]  # of five batches an epoch


@pytest.mark.soak
def test_the_trees_of_two_methods_are_compared(run: Path, tmp_path: Path) -> None:
    block = TEXT[TEXT.index("structure branch") :]
    other = trained(
        tmp_path / "mtsl",
        text=TEXT.replace(block, "structure mtsl {\n  phases     = [1]\n  threshold  = -1\n  similarity = rsa(samples=24)\n}\n"),
    )  # fmt: skip
    said = mtsldsl("diff", str(run / "spec.mtl"), str(other / "spec.mtl"), cwd=tmp_path)
    assert "structure" in said
    assert "->  depth, edge, segment" in said
    mtsldsl("check", "--pedantic", str(run / "spec.mtl"), cwd=tmp_path)
    mtsldsl("eval", str(run), cwd=run.parents[2])


def test_fewer_epochs_than_its_own_leave_it_out(tmp_path: Path) -> None:
    (tmp_path / "job.mtl").write_text(TEXT, encoding="utf-8")
    done = prepared.run("-m", "mtsldsl", "check", "job.mtl", "--set", "train.epochs=1", cwd=tmp_path)
    assert done.returncode == 0
    assert "the phase at epoch 2 is left out: training ends at epoch 1" in done.stderr
    assert loads(TEXT, overrides={"train.epochs": 1}).structure is None


PLANTED = """\
mtl 1

data planted {
  samples = 2000
  batch   = 64
}

task [a1, a2, b1, b2, c1, c2] {
  target = values(4)
  head   = linear(outputs)
  loss   = mse
}

backbone {
  stem   = linear(64) | relu
  narrow = linear(4)
}

train {
  epochs    = 5
  optimizer = sgd(lr=0.3)
}

structure branch {
  at         = 3
  similarity = gradient(samples=256)
  budget     = 0.6
}

sharing {
  stem..narrow = all
}
"""


@pytest.fixture(
    scope="module", params=["gradient(samples=256)", pytest.param("transference(samples=256)", marks=pytest.mark.soak)]
)
def planted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three pairs of tasks that share everything until they are compared."""
    text = PLANTED.replace("gradient(samples=256)", request.param)
    return trained(tmp_path_factory.mktemp("planted") / "job", text=text)


def test_planted_pairs_are_more_similar_in_the_network_that_they_share_than_any_others(planted: Path) -> None:
    for event in events(planted, "branch_similarity"):
        names, rows = event["tasks"], event["similarity"]
        pairs = {(one, other): rows[i][j] for i, one in enumerate(names) for j, other in enumerate(names) if i < j}
        within = [value for (one, other), value in pairs.items() if one[0] == other[0]]
        between = [value for (one, other), value in pairs.items() if one[0] != other[0]]
        assert len(within) == 3
        assert min(within) > 0.2 > max(between)
        assert [rows[i][i] for i in range(6)] == pytest.approx([1.0] * 6)
    evolved, shared = load(planted / "spec.mtl"), loads(PLANTED)
    assert evolved.cost().parameters <= 0.6 * attrs.evolve(shared, sharing=shared.sharing.apart()).cost().parameters
    assert evolved.sharing != shared.sharing
    said = {(each.fields["layer"], frozenset(each.fields["tasks"])) for each in evolved.history}  # type: ignore[arg-type]
    assert said == {(layer, each) for layer in evolved.backbone.layers for each in evolved.sharing.partition(layer) if len(each) > 1}  # fmt: skip


def test_transference_is_compared_free_of_the_scales_of_losses() -> None:
    """By numbers written down by hand: sqrt(0.03 * 0.02) over sqrt(0.04 * 0.09), with the sign of both."""
    found = torch.tensor([[0.04, 0.03, -0.01], [0.02, 0.09, 0.02], [-0.01, -0.02, 0.01]], dtype=torch.float64)
    similarity = _by_own(found)
    assert similarity[0, 1] == similarity[1, 0] == pytest.approx(0.02449489743 / 0.06)
    assert similarity[0, 2] == pytest.approx(-0.01 / 0.02)
    assert similarity[1, 2] == 0
    assert similarity.diagonal().tolist() == pytest.approx([1, 1, 1])
    scaled = _by_own(found / torch.tensor([1.0, 250.0, 1e-3]))  # losses of other sizes, of those who gain
    torch.testing.assert_close(scaled, similarity)
    harmed = found.clone()
    harmed[0, 0] = -0.01
    assert _by_own(harmed)[0].tolist() == [0, 0, 0]
    assert _by_own(torch.ones(2, 2)).tolist() == [[1, 1], [1, 1]]


@pytest.mark.soak
def test_what_came_of_a_shared_network_is_trained_again_and_not_compared(planted: Path, tmp_path: Path) -> None:
    again = trained(tmp_path / "again", text=(planted / "spec.mtl").read_text(encoding="utf-8"))
    assert load(again / "spec.mtl").sharing == load(planted / "spec.mtl").sharing
    (phase,) = events(again, "phase")
    assert (phase["parts"], phase.get("decisions")) == (True, [])
    assert events(again, "branch_similarity") == []


def test_each_copy_begins_as_what_was_shared_where_nothing_begins_anew(tmp_path: Path) -> None:
    """With the statistics of batch normalisations estimated anew on both sides, outputs do not change."""
    run = trained(tmp_path / "job", "structure.transfer=average", "structure.budget=0.8", text=SHARED)
    (phase,) = events(run, "phase")
    assert phase["decisions"]
    assert phase["after"]["losses"] == pytest.approx(phase["before"]["losses"], rel=1e-5)
