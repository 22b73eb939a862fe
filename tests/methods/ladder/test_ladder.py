"""The learner of shapes: each candidate learns as it would alone, and what is found is written down and kept."""

from __future__ import annotations

import csv
import math
import re
from html import unescape
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from mtsldsl import build_model, load, load_run, loads, measurements
from mtsldsl.diagnostics import MtlError
from mtsldsl.editing import rewritten
from mtsldsl.ir.cost import sizes_of
from mtsldsl.methods.evidence import Event
from mtsldsl.methods.ladder.candidate import Beginnings, Candidate
from mtsldsl.methods.ladder.gains import gains_over_mean, judging
from mtsldsl.methods.ladder.language import Settings
from mtsldsl.runtime.data import load_data
from mtsldsl.runtime.learning.evaluation import evaluate
from mtsldsl.runtime.run.code import Code
from mtsldsl.runtime.run.csv_log import csv_table
from mtsldsl.runtime.run.event_json import from_json
from mtsldsl.runtime.run.event_lines import describe_event
from mtsldsl.runtime.run.folder import RunFolder
from mtsldsl.runtime.run.session import Session
from mtsldsl.sharing.shape import Shape
from tests.cli.test_train_log import of_table, shown
from tests.methods.each_learner import run, text, visits
from tests.runtime.in_process import TASKS, clipped, events, of, rows, trained

PLAIN = clipped("l1 = linear(6) | batch_norm | tanh")


def with_ladder(settings: str, plain: str = PLAIN) -> str:
    return f"{plain}\nstructure ladder {{\n  {settings}\n}}\n"


def weights(path: Path) -> dict[str, Tensor]:
    return load_file(path)


def last_weights(folder: Path) -> dict[str, Tensor]:
    return weights(folder / "runs/job/1/checkpoints/epoch-004/weights.safetensors")


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def test_shapes_are_compared_by_their_gain_over_the_mean_of_all() -> None:
    reached = {
        "a": [
            {"depth": {"rmse": 1.0, "abs_rel": 0.2}, "segment": {"miou": 0.3}},
            {"depth": {"rmse": 3.0, "abs_rel": 0.2}, "segment": {"miou": 0.5}},
        ],
        "b": [{"depth": {"rmse": 1.0, "abs_rel": 0.1}, "segment": {"miou": 0.8}}] * 2,
    }
    # Means over epochs: rmse 2 and 1, over them 1.5; abs_rel 0.2 and 0.1, over them 0.15; miou 0.4 and 0.8, over them 0.6.
    depth, segment = -100 * (0.5 / 1.5 + 0.05 / 0.15) / 2, -100 * 0.2 / 0.6
    found = gains_over_mean(reached, ["depth", "segment"])
    assert found == pytest.approx({"a": (depth + segment) / 2, "b": -(depth + segment) / 2})
    assert gains_over_mean(reached, ["segment"]) == pytest.approx({"a": segment, "b": -segment})
    lost = {**reached, "c": [{"depth": {"rmse": math.nan, "abs_rel": 0.15}, "segment": {"miou": 0.6}}]}
    assert gains_over_mean(lost, ["depth"]) == pytest.approx({"a": -100 / 3, "b": 100 / 3, "c": 0.0})
    flat = {name: [{"price": {"r2": value, "rmse": 2.0}}] for name, value in {"a": -2e-5, "b": -1.1e-4}.items()}
    assert gains_over_mean(flat, ["price"]) == pytest.approx({"a": 0.0225, "b": -0.0225})  # 4.5e-5 over 0.1; and 0
    nothing = {name: [{"depth": {"rmse": math.nan}}] for name in "ab"}
    assert all(map(math.isnan, gains_over_mean(nothing, ["depth"]).values()))


def test_shapes_are_judged_by_tasks_that_learn_labels_unless_there_are_none() -> None:
    kinds = {"a": "values(1)", "b": "reconstruct", "c": "values(1)"}
    head = {name: "linear(4)" if kind == "reconstruct" else "linear(1)" for name, kind in kinds.items()}

    def told(**weights: float) -> list[str]:
        tasks = "\n".join(
            f"task {name} {{\n  target = {kinds[name]}\n  head = {head[name]}\n  weight = {weight}\n}}"
            for name, weight in weights.items()
        )
        data = 'data arrays {\n  path = "x.npz"\n  input = row(4)\n}\n'
        return judging(loads(f"mtl 1\n{data}{tasks}\nbackbone {{\n  l1 = linear(3)\n}}\ntrain {{\n  epochs = 1\n}}\n"))

    assert told(a=1.0, b=1.0, c=1.0) == ["a", "c"]
    assert told(a=0.0, b=1.0, c=1.0) == ["c"]
    assert told(a=0.0, b=1.0) == ["b"]
    assert told(b=1.0) == ["b"]


def test_each_candidate_learns_what_it_would_alone(tmp_path: Path) -> None:
    """All shared and all apart side by side, with gradients that are clipped: as in plain runs."""
    place = {name: tmp_path / name for name in ("ladder", "all", "each")}
    for each in place.values():
        each.mkdir()
    found = trained(place["ladder"], with_ladder("budgets = [0.7, 1.0]\n  pick = 0.7"))
    trained(place["all"], f"{PLAIN}\nsharing {{\n  l1 = all\n}}\n")
    trained(place["each"], PLAIN)
    evolved = load(place["ladder"] / "runs/job/1/spec.mtl")
    assert [set(each) for each in evolved.sharing.partition("l1")] == [{"a", "b"}]
    assert "ladder(epoch=1, budget=0.7, layer=l1, copies=1)" in evolved.source.text
    assert same(last_weights(place["ladder"]), last_weights(place["all"]))
    kept = weights(place["ladder"] / "runs/job/1/ladder/1.0.weights.safetensors")
    torch.testing.assert_close(kept, last_weights(place["each"]), rtol=1e-5, atol=1e-6)  # tasks are added up in turn
    for name in ("1", "1.0", "1.", "1e0"):  # the budget, however it is written
        _, model = load_run(place["ladder"] / "runs/job/1", of=name)
        assert same(model.state_dict(), kept)
    with pytest.raises(MtlError) as caught:
        load_run(place["ladder"] / "runs/job/1", of="2")
    assert "has no network `2`" in str(caught.value)
    assert "beside its own are: 1.0" in str(caught.value)
    lines = [line for event in of(found, "rung_chosen") for line in describe_event(read(event))]
    assert [line.partition(": ")[0] for line in lines] == ["  budget 0.7 (picked)", "  budget 1.0"]
    beside = load(place["ladder"] / "runs/job/1/ladder/1.0.mtl")
    assert beside.sharing == load(place["each"] / "runs/job/1/spec.mtl").sharing
    assert "ladder(epoch=1, budget=1.0, layer=l1, copies=2)" in beside.source.text
    # What the run tells of itself meanwhile is of the network that it takes up, and so are the losses.
    plain = trained_losses(place["all"])
    assert trained_losses(place["ladder"]) == plain
    told = [(event["epoch"], event["names"], event["losses"]) for event in of(found, "beside")]
    apart = {event["epoch"]: event["losses"] for event in of(events(place["each"] / "runs/job/1"), "validation")}
    assert [each[:2] for each in told] == [(epoch, ["1.0"]) for epoch in (1, 2, 3, 4)]
    for epoch, _, losses in told:
        assert losses == pytest.approx(apart[epoch], rel=1e-5)
    # The loggers have it as a split of its own.
    table = csv.DictReader(csv_table(place["ladder"] / "runs/job/1/events.jsonl").splitlines())
    logged = {
        (int(row["epoch"]), row["task"]): float(row["value"])
        for row in table
        if (row["split"], row["name"]) == ("validation/1.0", "loss")
    }
    assert logged == {(epoch, task): loss for epoch, _, losses in told for task, loss in losses.items()}


@pytest.mark.soak
def test_teachers_teach_each_candidate_as_they_would_alone(tmp_path: Path) -> None:
    place = {name: tmp_path / name for name in ("each", "ladder", "all", "apart")}
    for each in place.values():
        each.mkdir()
    rows(place["each"])
    ended(place["each"], PLAIN)
    taught = PLAIN.replace("keep      = last", f'keep      = last\n  teachers  = "{place["each"] / "runs/job/1"}"')
    trained(place["ladder"], with_ladder("budgets = [0.7, 1.0]\n  pick = 0.7", taught))
    trained(place["all"], f"{taught}\nsharing {{\n  l1 = all\n}}\n")
    trained(place["apart"], taught)
    assert same(last_weights(place["ladder"]), last_weights(place["all"]))
    kept = weights(place["ladder"] / "runs/job/1/ladder/1.0.weights.safetensors")
    torch.testing.assert_close(kept, last_weights(place["apart"]), rtol=1e-5, atol=1e-6)
    assert not same(last_weights(place["apart"]), last_weights(place["each"]))


APART = """mtl 1

data arrays {
  path  = "apart.npz"
  apart = true
  input = row(4)
  batch = 8
}

task [x, y, z] {
  target = values(1)
  head   = linear(1)
}

backbone {
  l1 = linear(6) | tanh
}

train {
  epochs    = 4
  balance   = relative
  optimizer = adam(lr=0.05)
  keep      = last
}
"""


def test_tasks_with_samples_of_their_own_learn_each_shape_from_their_own(tmp_path: Path) -> None:
    place = {name: tmp_path / name for name in ("ladder", "whole", "all", "each")}
    rng = np.random.default_rng(0)
    arrays = {}
    for task, count in (("x", 40), ("y", 60), ("z", 50)):
        rows, of_task = rng.normal(size=(count, 4)), rng.normal(size=4)
        arrays |= {f"{task}/row": rows, f"{task}/target": np.tanh(rows @ of_task)}
    for each in place.values():
        each.mkdir()
        np.savez(each / "apart.npz", **arrays)
    told = trained(place["ladder"], with_ladder("budgets = [0.5, 0.75]\n  pick = 0.5", APART))
    trained(place["whole"], with_ladder("budgets = [1.0]", APART))
    trained(place["all"], f"{APART}\nsharing {{\n  l1 = all\n}}\n")
    trained(place["each"], APART)
    assert {event["budget"]: event["parameters"] for event in of(told, "rung_chosen")} == {0.5: 51, 0.75: 81}
    assert same(last_weights(place["ladder"]), last_weights(place["all"]))
    kept = place["ladder"] / "runs/job/1/ladder"
    torch.testing.assert_close(last_weights(place["whole"]), last_weights(place["each"]))
    # Copies that compete learn from the batches of all tasks, each with its own head there.
    between = weights(kept / "0.75.weights.safetensors")
    assert len([name for name in between if name.startswith("l1") and name.endswith("weight")]) == 2
    told_of = [event["losses"] for event in of(told, "beside") if event["names"] == ["0.75"]]
    assert all(np.isfinite(list(losses.values())).all() for losses in told_of)
    assert told_of[0] != told_of[-1]


def test_the_loggers_have_what_each_budget_reaches_on_the_test_set() -> None:
    event = {
        "event": "beside_test",
        "names": ["0.5", "1.0"],
        "own": True,
        "losses": {"a": 0.5, "b": None},
        "metrics": {"a": {"rmse": 0.7}, "b": {}},
        "epochs": {"a": 3, "b": 2},
        "parameters": 12,
        "flops": 34,
    }
    for name in event["names"]:
        found = [(each.epoch, each.tag, each.value) for each in measurements(event) if each.split == f"test/{name}"]
        assert found == [
            (3, "a/loss", 0.5), (3, "a/rmse", 0.7), (2, "b/loss", None), (3, "parameters", 12), (3, "flops", 34),
        ]  # fmt: skip
    assert len(measurements(event)) == 10


def read(event: dict[str, Any]) -> Event:
    found = from_json(event)
    assert found is not None
    return found


def trained_losses(folder: Path) -> list[Any]:
    told = events(folder / "runs/job/1")
    return [
        [{task: event["losses"][task] for task in ("a", "b")} for event in of(told, kind)]
        for kind in ("epoch", "validation")
    ]


THREE = text("ladder").replace("ema        = 0.5", "ema        = 0.9")
QUICKER = THREE.replace("epochs     = 2", "epochs     = 4").replace("lr=0.02", "lr=0.1")


def competing() -> Candidate:
    spec = loads(THREE)
    assert spec.structure is not None
    settings = spec.structure.settings
    assert isinstance(settings, Settings)
    schedule = attrs.evolve(settings, warm=0.15, hard=0.5).schedule(3)
    return Candidate(Shape(2, 2), Beginnings(spec, sizes_of(spec)), schedule)


def test_shares_are_what_numpy_makes_of_the_losses() -> None:
    candidate = competing()
    losses = np.array([[0.5, 0.4], [0.9, 1.2], [2.0, 2.1]])
    candidate.loss.copy_(torch.from_numpy(losses))
    relative = losses / losses.mean(1, keepdims=True)
    for progress in (0.0, 0.1499):
        np.testing.assert_allclose(candidate.shares(progress).numpy(), np.full((3, 2), 0.5))
    for progress in (0.15, 0.3, 0.499):
        temperature = 0.1 + (0.002 - 0.1) * (progress - 0.15) / (0.5 - 0.15)
        powers = np.exp(-(relative - relative.min(1, keepdims=True)) / temperature)
        wanted = powers / powers.sum(1, keepdims=True)
        np.testing.assert_allclose(candidate.shares(progress).numpy(), wanted, rtol=1e-4, atol=1e-7)
    np.testing.assert_array_equal(candidate.shares(0.5).numpy(), [[0, 1], [1, 0], [1, 0]])


def test_a_copy_that_no_task_prefers_has_the_one_that_loses_the_least_by_it() -> None:
    candidate = competing()
    candidate.loss.copy_(torch.tensor([[0.5, 0.6], [0.9, 1.2], [2.0, 2.1]]))
    shares = candidate.shares(0.499)
    assert shares.argmax(1).tolist() == [0, 0, 1]
    assert shares.max(1).values.min() > 0.99
    assert [set(each) for each in candidate.sharing().partition("both")] == [{"a", "b"}, {"early"}]


def test_copies_that_compete_begin_with_weights_of_their_own_and_the_first_as_any_network() -> None:
    candidate = competing()
    first, second = (candidate.network(at).state_dict() for at in range(2))
    plain = Beginnings(candidate._spec, candidate._sizes)
    united = plain.model(0, plain.united().sharing, "a").state_dict()
    assert all(torch.equal(value, united[name]) for name, value in first.items())
    assert {name.partition(".")[0] for name in first} == {"seen", "wide", "both", "last", "heads"}
    assert {name.partition(".")[0] for name in second} == {"both", "last", "heads"}
    drawn = [name for name in second if name.endswith("weight") and "norm" not in name]
    assert drawn
    assert not any(torch.equal(second[name], first[name]) for name in drawn)


LOGGERS = ("csv", "tensorboard")


def finished(folder: Path, content: str) -> RunFolder:
    visits(folder)
    return ended(folder, content)


def ended(folder: Path, content: str) -> RunFolder:
    (folder / "job.mtl").write_text(content, encoding="utf-8")
    session = Session.create(load(folder / "job.mtl"), "job", folder / "runs", "cpu", "quiet", LOGGERS)
    Code.of(session.spec).run().main(session)
    session.close()
    return session.folder


def test_once_tasks_have_chosen_copies_have_no_other_heads_and_no_task_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the number of weights that a static network of that sharing has."""
    learn, seen = Candidate.learn, list[tuple[float, Candidate, dict[str, int] | None, int]]()

    def noted(self: Candidate, outputs: Any, step: Any, balance: Any, *, told: bool) -> Any:
        seen.append((step.progress, self, self.chosen, sum(each.numel() for each in self.parameters())))
        return learn(self, outputs, step, balance, told=told)

    monkeypatch.setattr(Candidate, "learn", noted)
    content = THREE.replace("epochs     = 2", "epochs     = 8").replace("[0.6]", "[0.6, 0.9]\n  hard = 0.25")
    folder = finished(tmp_path, content)
    spec = loads(content)
    left = {candidate for progress, candidate, _, _ in seen if progress >= 0.25}
    competing = {candidate for _, candidate, chosen, _ in seen if chosen is None} & left
    assert competing
    for candidate in competing:
        shape = candidate.shape
        steps = [(progress, chosen, count) for progress, each, chosen, count in seen if each is candidate]
        assert {chosen is None for progress, chosen, _ in steps if progress < 0.25} == {True}
        after = [(chosen, count) for progress, chosen, count in steps if progress >= 0.25]
        assert all(each == after[0] for each in after)
        chosen, count = after[0]
        assert chosen is not None
        sharing = sizes_of(spec).sharing(shape, chosen, spec.sharing)
        alone = build_model(rewritten(spec, sharing))
        assert count == sum(each.numel() for each in alone.parameters()) < steps[0][2]
    told = [event for event in events(folder.path) if event["event"] == "rung_chosen"]
    assert [event["budget"] for event in told] == [0.6, 0.9]


@pytest.mark.soak
def test_what_is_kept_of_each_budget_is_what_was_evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    content = QUICKER.replace("budgets = [0.6]", "budgets = [0.5, 0.7, 0.9]\n  pick = 0.7")
    folder = finished(tmp_path, content)
    told = events(folder.path)
    tests = {name: event for event in of(told, "beside_test") for name in event["names"]}
    assert tests.keys() == {"0.5", "0.7", "0.9"}
    chosen = {event["budget"]: event for event in of(told, "rung_chosen")}
    assert [budget for budget, event in chosen.items() if event["picked"]] == [0.7]
    single = attrs.evolve(load(folder.spec), sharing=load(folder.spec).sharing.apart()).cost().parameters
    for name, test in tests.items():
        spec, model = load_run(folder.path, of=name)
        data = load_data(spec)
        found = evaluate(model, spec, data.test, torch.device("cpu"))
        assert found.losses == test["losses"]
        assert found.metrics == test["metrics"]
        parameters = sum(each.numel() for each in model.parameters())
        assert parameters == test["parameters"] == chosen[float(name)]["parameters"] <= float(name) * single
        assert f"budget={name}" in (folder.path / f"ladder/{name}.mtl").read_text()
        assert load(folder.path / f"ladder/{name}.mtl").sharing == spec.sharing
    page = unescape(folder.report.read_text(encoding="utf-8"))
    for name, test in tests.items():
        assert re.search(rf">[^<]*{name}[^<]*</th><td class=\"number\">{test['parameters']:,}</td>", page)
    assert {split for split, _, _ in of_table(folder.path)} == {
        *("train", "validation", "test"), *(f"test/{name}" for name in tests), "validation/0.5",
    }  # fmt: skip
    points, forgotten = shown(folder.path)
    assert (points, forgotten) == (pytest.approx(of_table(folder.path), rel=1e-6), 0)
    again = Session.resume(folder.path, "cpu", "quiet")  # it has ended: its test comes anew
    Code.of(again.spec).run().main(again)
    again.close()
    assert shown(folder.path)[0] == pytest.approx(of_table(folder.path), rel=1e-6)
    assert [event["names"] for event in of(events(folder.path), "beside_test")] == [["0.7", "0.9"], ["0.5"]]
    own = of(told, "test")[0]
    assert tests["0.7"]["own"]
    assert tests["0.7"]["metrics"] == own["metrics"]
    assert {name: each["own"] for name, each in tests.items()} == {"0.5": False, "0.7": True, "0.9": True}
    assert chosen[0.9]["gain"] == chosen[0.7]["gain"] > chosen[0.5]["gain"]  # it takes that of the smaller budget


def bytes_of(folder: RunFolder) -> dict[str, bytes]:
    """Of all that a run keeps."""
    places = (*folder.beside.iterdir(), *folder.best.iterdir(), folder.spec)
    return {path.name: path.read_bytes() for path in places if path.is_file()}


@pytest.mark.soak
def test_a_run_that_was_ended_after_each_epoch_keeps_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = QUICKER.replace("budgets = [0.6]", "budgets = [0.5, 0.9]\n  pick = knee")
    found, told = [], []
    for ends in ((), (1, 2, 3)):
        place = tmp_path / str(len(ends))
        place.mkdir()
        monkeypatch.chdir(place)
        visits(place)
        folder = run(place, content, ends)
        found.append(bytes_of(folder))
        told.append(
            [event for event in events(folder.path) if event["event"] in ("rung", "rung_chosen", "beside", "best")]
        )
    assert found[0] == found[1]
    assert told[0] == told[1]
    assert {"0.5.mtl", "0.9.mtl"} & found[0].keys()


WRONG = [
    ("budgets = [0.5, 0.35]", "MTL202", "the budget 0.35 comes after 0.5"),
    ("budgets = [0.1, 0.8]", "MTL202", "give budgets of 0.5"),
    ("budgets = [0.7, 0.8]\n  pick = 0.5", "MTL202", "pick 0.7, 0.8 or `knee`"),
    ("budgets = [0.8]\n  warm = 0.5", "MTL202", "let `hard` be more than `warm`"),
    ("budgets = [0.8]\n  temperature = [0.1, 0.2]", "MTL202", "give the higher one first"),
    ("budgets = [0.8]\n  pick = elbow", "MTL107", "or `knee`"),
]


@pytest.mark.parametrize(("settings", "code", "said"), WRONG)
def test_what_cannot_be_is_refused_with_its_remedy(settings: str, code: str, said: str) -> None:
    with pytest.raises(MtlError) as raised:
        loads(with_ladder(settings))
    assert [each.code for each in raised.value.diagnostics] == [code]
    assert said in str(raised.value)


def test_another_balance_and_too_few_epochs_are_refused() -> None:
    with pytest.raises(MtlError, match=r"MTL505[^$]*write `balance = relative`"):
        loads(with_ladder("budgets = [0.8]").replace("= relative", "= equal"))
    layers = "\n".join(f"  l{place} = linear(6)" for place in range(2, 6))
    deep = PLAIN.replace("| tanh\n", f"| tanh\n{layers}\n")
    with pytest.raises(MtlError, match=r"MTL501[^$]*train for 2 or more"):
        loads(with_ladder("budgets = [1.0]", deep).replace("= 4", "= 1").replace("multistep([1, 3])", "none"))


def test_the_usual_budgets_are_those_that_are_enough_and_the_one_in_the_middle_is_picked() -> None:
    def found(settings: str) -> tuple[tuple[float, ...], float]:
        spec = loads(with_ladder(settings))
        assert spec.structure is not None
        chosen = spec.structure.settings
        assert isinstance(chosen, Settings)
        budgets = chosen.budgets_of(sizes_of(spec))
        return budgets, chosen.picked_of(budgets)

    assert found("") == ((0.75,), 0.75)  # all shared there are 57 % of the parameters
    assert found("budgets = [0.6, 0.7, 0.8]") == ((0.6, 0.7, 0.8), 0.7)
    assert found("budgets = [0.7, 0.8]") == ((0.7, 0.8), 0.8)
    assert found("budgets = [0.7, 0.8]\n  pick = 0.7") == ((0.7, 0.8), 0.7)
    assert found("budgets = [0.7, 0.8]\n  pick = knee") == ((0.7, 0.8), 0.8)  # as long as it is not known
    with pytest.raises(MtlError, match=r"MTL202[^$]*the budget 0.5 is"):
        loads(with_ladder("pick = 0.5"))


def test_candidates_begin_with_the_weights_that_a_run_is_given() -> None:
    """What all tasks share with the mean of what theirs have, a task's own copy with its own; what was not given is
    drawn for each copy."""
    spec = loads(THREE)
    sizes, chosen = sizes_of(spec), spec.structure
    assert chosen is not None
    settings = chosen.settings
    assert isinstance(settings, Settings)
    given = build_model(spec)
    with torch.no_grad():
        for at, task in enumerate(spec.sharing.tasks):
            for layer in ("wide", "both"):
                given.get_submodule(f"{layer}.{task}").linear1.weight.fill_(at + 1.0)
    beginnings = Beginnings(spec, sizes, given)
    shared, own, competing = (Candidate(Shape(2, copies), beginnings, settings.schedule(3)) for copies in (1, 3, 2))

    def weight(candidate: Candidate, at: int, layer: str) -> set[float]:
        found = candidate.network(at).get_submodule(f"{layer}.a+b+early").linear1.weight
        return set(found.unique().tolist())

    assert weight(shared, 0, "wide") == weight(shared, 0, "both") == {2.0}
    assert weight(own, 0, "wide") == {2.0}
    assert [weight(own, at, "both") for at in range(3)] == [{1.0}, {2.0}, {3.0}]
    assert [weight(competing, at, "both") for at in range(2)] == [{2.0}, {2.0}]
    assert weight(competing, 0, "last") != weight(competing, 1, "last")


def test_a_step_that_is_not_finite_is_told_with_its_task(tmp_path: Path) -> None:
    broken = (
        with_ladder("budgets = [0.7, 1.0]").replace("adam(lr=0.05)", "sgd(lr=1e30)").replace("  clip      = 0.1\n", "")
    )
    with pytest.raises(MtlError, match=r"MTL803: in step \d of epoch 1 the loss of a[^$]*lower the learning rate"):
        trained(tmp_path, broken)


WIDE = f"""{TASKS}
task c {{
  target = values(1)
  field  = b
  head   = linear(1)
  loss   = mse
}}

backbone {{
  l1 = linear(64) | tanh
  l2 = linear(64) | tanh
  l3 = linear(64) | tanh
  l4 = linear(64) | tanh
}}

train {{
  epochs  = 8
  balance = relative
  keep    = last
}}
"""


def test_of_six_shapes_three_go_on_then_two_and_at_half_the_better_one(tmp_path: Path) -> None:
    """By the gains of each over the mean of those that are left, each from the best to the worst."""
    deeper = WIDE.replace("linear(64)", "linear(5)").replace(
        "  l4 =", "  l5 = linear(5) | tanh\n  l6 = linear(5) | tanh\n  l4 ="
    )
    content = with_ladder("budgets = [0.37, 0.75]\n  pick = 0.75", deeper.replace("epochs  = 8", "epochs  = 12"))
    sizes = sizes_of(loads(content))
    counts = {budget: len(sizes.edge(budget)) for budget in (0.37, 0.75)}
    found = of(trained(tmp_path, content), "rung")
    kept = {
        budget: [(each["epoch"], len(each["shapes"]), each["kept"]) for each in found if each["budget"] == budget]
        for budget in counts
    }
    assert counts == {0.37: 1, 0.75: 6}
    assert kept == {0.37: [], 0.75: [(1, 6, 3), (2, 3, 2), (6, 2, 1)]}
    for each in found:
        assert each["gains"] == sorted(each["gains"], reverse=True)
        assert sum(each["gains"]) == pytest.approx(0, abs=1e-9)
    for one, other in pairwise(found):
        assert set(other["shapes"]) == set(one["shapes"][: one["kept"]])


@pytest.mark.soak
def test_the_search_takes_at_most_what_two_static_networks_take(tmp_path: Path) -> None:
    """In floating-point operations of whole runs, beside the dearest of its shapes."""
    spec = loads(with_ladder("budgets = [0.75]", WIDE))
    sizes = sizes_of(spec)
    shapes = sizes.edge(0.75)
    assert len(shapes) == 4
    taken = {}
    for shape in (None, *shapes):
        place = tmp_path / (shape.name if shape else "ladder")
        place.mkdir()
        content = with_ladder("budgets = [0.75]", WIDE)
        if shape is not None:
            chosen = {task: min(at, shape.copies - 1) for at, task in enumerate(spec.sharing.tasks)}
            lines = rewritten(loads(WIDE), sizes.sharing(shape, chosen, spec.sharing))
            content = lines.source.text
        with FlopCounterMode(display=False) as counter:
            trained(place, content)
        taken[shape] = counter.get_total_flops()
    searched = taken.pop(None)
    assert min(taken.values()) < searched <= 2 * max(taken.values())
