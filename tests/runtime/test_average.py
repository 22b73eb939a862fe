"""`keep = average(part)`: a run trains as it does without, and keeps the plain mean of the weights after its last steps,
with statistics of batch normalisation of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import attrs
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor, nn

from mtsldsl import load_run
from mtsldsl.cli.eval import command as evaluated
from mtsldsl.ir import Decision, Spec
from mtsldsl.language import Named
from mtsldsl.runtime.data import batches, load_data
from mtsldsl.runtime.learning.ema import counts
from mtsldsl.runtime.learning.evaluation import evaluate
from mtsldsl.runtime.network.averaging import mean
from mtsldsl.runtime.run.code import Code
from mtsldsl.runtime.run.exported import export
from mtsldsl.runtime.run.model_card import model_card
from mtsldsl.runtime.run.selection import Selection
from mtsldsl.runtime.run.session import Session
from mtsldsl.sharing import Copy
from tests.cli.test_train import KILLED, disturbed
from tests.runtime import test_ema
from tests.runtime.in_process import Unreported, events, of, rows
from tests.runtime.started import CPU
from tests.runtime.test_ema import MERGING, PLAIN, SPEC, Seen, copied, seen

TEXT = PLAIN.replace("keep       = last", "keep       = average(0.4)")
LATE = PLAIN.replace("keep       = last", "keep       = average(0.6)")  # from step 7 of 15: within the second epoch


def mean_by_hand(states: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of what is learned, in twice the precision."""
    learned = [name for name in states[0] if name.endswith((".weight", ".bias"))]
    return {name: torch.stack([each[name].double() for each in states]).mean(0) for name in learned}


def kept(session: Seen) -> dict[str, Tensor]:
    return load_file(session.folder.best / "mean.weights.safetensors")


def require_close(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    assert wanted
    for name, value in wanted.items():
        torch.testing.assert_close(found[name].double(), value.double(), rtol=1e-4, atol=1e-6)


def require_own_statistics(session: Seen) -> None:
    """Hold that every batch normalisation of the weights that are kept has the mean and the variance of what reaches
    it, of all samples that are in whole batches of the first epoch."""
    spec, network = load_run(session.folder.path)
    train, size = load_data(spec).train, spec.data.batch
    (batch, *_) = batches(train, len(train) // size * size, seed=spec.train.seed, shuffle=True)
    norms = {name: module for name, module in network.named_modules() if isinstance(module, nn.BatchNorm1d)}
    reached: dict[str, Tensor] = {}
    for name, module in norms.items():
        module.register_forward_pre_hook(lambda _, given, name=name: reached.update({name: given[0]}))
    network(batch["row"])
    assert norms.keys() == reached.keys() != set()
    for name, module in norms.items():
        moments = torch.var_mean(reached[name].double(), 0, correction=0)
        for own, wanted in zip((module.running_var, module.running_mean), moments, strict=True):
            assert own is not None
            torch.testing.assert_close(own.double(), wanted, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    return seen(tmp_path_factory.mktemp("average"), TEXT)


def test_what_is_kept_is_the_plain_mean_of_the_last_steps(run: Seen) -> None:
    assert len(run.states) == 15
    wanted = mean_by_hand(run.states[9:])
    require_close(kept(run), wanted)
    assert not all(torch.allclose(kept(run)[name].double(), run.states[-1][name].double()) for name in wanted)


def test_its_batch_normalisations_have_statistics_of_its_own(run: Seen) -> None:
    require_own_statistics(run)


def test_training_is_what_it_is_without_and_each_epoch_says_of_what_the_validation_is(
    run: Seen, tmp_path: Path
) -> None:
    plain = seen(tmp_path, PLAIN)
    for one, other in zip(run.states, plain.states, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)
    told, without = (of(events(each.folder.path), "validation") for each in (run, plain))
    assert [each.get("averaged") for each in told] == [None, 1, 6]
    assert [each.get("averaged") for each in without] == [None, None, None]
    alike = [one["losses"] == other["losses"] for one, other in zip(told, without, strict=True)]
    assert alike == [True, False, False]
    spec, network = load_run(run.folder.path)
    assert told[-1]["losses"] == evaluate(network, spec, load_data(spec).validation, CPU).losses


class Phased(Seen):
    """A run that keeps the weights which a structural phase came to."""

    def structure_changed(self, spec: Spec, epoch: int, decisions: Sequence[Decision], **options: bool) -> None:
        super().structure_changed(spec, epoch, decisions, **options)
        self.changed = copied(self.training.model)


@pytest.fixture(scope="module")
def phased(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(test_ema, "Seen", Phased)
        return seen(tmp_path_factory.mktemp("phased"), LATE + MERGING)


@pytest.mark.parametrize("trained", [False, True])
def test_a_phase_within_the_last_steps_carries_the_mean(
    trained: bool, phased: Seen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = phased
    if trained:
        monkeypatch.setattr(test_ema, "Seen", Phased)
        session = seen(tmp_path, LATE + MERGING.replace("}", "  transfer = amalgamate([1])\n}"))
    assert isinstance(session, Phased)
    assert (
        len(session.states) > 15
    ) == trained  # amalgamation makes steps of its own between the second epoch and the third
    before, after = mean_by_hand(session.states[6:10]), session.states[-5:]
    found, merged = kept(session), Copy("stem", frozenset("ab")).name
    own = [Copy("stem", frozenset(task)).name for task in "ab"]
    wanted = {}
    for name in (name for name in found if name.endswith((".weight", ".bias"))):
        earlier = before.get(name)
        if earlier is None:
            rest = name.removeprefix(f"{merged}.")
            earlier = session.changed[name].double() if trained else mean([before[f"{each}.{rest}"] for each in own])
        wanted[name] = (4 * earlier + sum(each[name].double() for each in after)) / 9
    assert not wanted.keys() <= before.keys()
    require_close(found, wanted)
    require_own_statistics(session)
    assert of(events(session.folder.path), "phase")[-1]["after"]["losses"] != {}


def test_a_run_killed_within_the_last_steps_goes_on_to_the_same_bits(phased: Seen, tmp_path: Path) -> None:
    rows(tmp_path)
    (tmp_path / "job.mtl").write_text(LATE + MERGING, encoding="utf-8")
    killed = disturbed(
        "train", "job.mtl", "--quiet", "--device", "cpu", action=f"if training.epoch == 2: {KILLED}", cwd=tmp_path
    )
    assert killed.returncode == -9
    whole, again = phased.folder.path, tmp_path / "runs/job/1"
    session = Unreported.resume(again, "cpu", "quiet")
    Code.of(session.spec).run().main(session)
    session.close()
    for part in ("weights", "average", "optimizer"):
        one, other = (load_file(each / f"checkpoints/epoch-003/{part}.safetensors") for each in (whole, again))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)
    files = [(each / "best/mean.weights.safetensors").read_bytes() for each in (whole, again)]
    assert files[0] == files[1]
    assert [each.get("averaged") for each in of(events(again), "validation")] == [None, 4, 9]


CHOOSING = "\nstructure ltb {\n  choose = 3\n  retrain = false\n}\n"
ALLOCATING = "\nstructure allocation {\n  on = 0.6\n  lr = 0.5\n  budget = 0.4\n}\n"
ALTERNATIVES = "  mix  = parallel(unit=linear(8) | tanh, copies=3)\n  stem = linear(8)"


@pytest.mark.parametrize(
    "text", [LATE + CHOOSING, LATE.replace("  stem = linear(8)", ALTERNATIVES) + ALLOCATING], ids=["ltb", "allocation"]
)
def test_statistics_are_those_of_what_a_learner_would_write_down(text: str, tmp_path: Path) -> None:
    session = seen(tmp_path, text)
    assert of(events(session.folder.path), "phase")[-1]["epoch"] == 3
    require_own_statistics(session)


def test_a_run_that_ends_early_keeps_the_mean_of_what_there_is(tmp_path: Path) -> None:
    session = seen(tmp_path, LATE.replace("  keep ", "  stop = patience(1)\n  keep "))
    assert len(session.states) == 10
    require_close(kept(session), mean_by_hand(session.states[6:]))


def test_the_test_eval_and_the_card_of_an_export_say_it(run: Seen) -> None:
    said = "the mean of the weights after the last 6 steps"
    Session.finish(run, run.training, load_data(run.spec))
    (test,) = of(events(run.folder.path), "test")
    assert (test["keep"], test["chosen_by"]) == ("average(0.4)", f"being the last, with {said}")
    shown = CliRunner().invoke(evaluated, [str(run.folder.path), "--device", "cpu"])
    assert f"the weights are {said}\n" in shown.output
    told = CliRunner().invoke(evaluated, [str(run.folder.path), "--device", "cpu", "--json"])
    assert json.loads(told.output)["averaged"] == 6
    card = model_card(export(run.folder, "safetensors"), run.folder, "")
    assert f"kept by `keep = average(0.4)`, on validation. The file has {said}." in card


AVERAGE = Named("average", {"part": 0.6})


def test_what_was_kept_is_said_with_the_steps_of_the_mean_or_that_there_is_none() -> None:
    assert Selection(AVERAGE).chosen_by(9) == "being the last, with the mean of the weights after the last 9 steps"
    assert Selection(AVERAGE).chosen_by(1) == "being the last, with the mean of the weights after the last step"
    assert "as they are" in Selection(AVERAGE).chosen_by(None)


@given(st.floats(0, 1, exclude_min=True, allow_subnormal=False), st.integers(1, 200))
def test_the_steps_that_count_are_the_last_ones_and_at_least_one(part: float, steps: int) -> None:
    spec = attrs.evolve(
        SPEC, train=attrs.evolve(SPEC.train, ema=None, keep=attrs.evolve(AVERAGE, arguments={"part": part}))
    )
    counted = [step for step in range(1, steps + 1) if counts(spec, step, steps)]
    assert counted == list(range(steps + 1 - len(counted), steps + 1))
    assert len(counted) - 1 < Fraction(repr(part)) * steps <= len(counted)
