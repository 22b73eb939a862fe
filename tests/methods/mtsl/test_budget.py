"""`structure mtsl` with a budget: what is refused, what phases come to, and that a run goes on to the same bits."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import attrs
import pytest
import torch
from safetensors.torch import load_file

from mtsldsl.codegen import compile_spec
from mtsldsl.diagnostics import MtlError
from mtsldsl.editing import load, loads
from mtsldsl.ir import Spec
from mtsldsl.ir.normal import digest
from mtsldsl.ir.wiring import Value
from mtsldsl.methods.mtsl.learner import Mtsl
from mtsldsl.runtime.learning.step import Position
from mtsldsl.runtime.similarity import cka_matrix, rsa_matrix
from mtsldsl.runtime.structure.learner import Proposal
from tests.methods.each_learner import run, text, visits
from tests.runtime.in_process import events, of
from tests.runtime.test_similarity_of_losses import randomised, samples, two_sources, viewed

NETWORK = """\
mtl 1

data arrays {
  path  = "none.npz"
  input = image(3, 8, 8)
  batch = 5
}

task kind {
  target = classes(3, ignore=255)
  head   = adaptive_avg_pool2d(1) | flatten | linear(3)
}

task [one, two] {
  target = values(1)
  head   = adaptive_avg_pool2d(1) | flatten | linear(1)
  loss   = mse
}

backbone {
  stem = conv2d(4, 3) | batch_norm | relu
  pool = max_pool2d(2)
  body = conv2d(4, 3) | batch_norm | relu
  last = conv2d(4, 3) | relu
}

train {
  epochs = 5
}

structure mtsl {
  phases     = [1, 2, 3]
  similarity = SIMILARITY(samples=12)
  BUDGET
}
"""

TEXT_OF_A_BLOCK = NETWORK.replace("[1, 2, 3]", "[1]").replace("BUDGET", "choose = budget(0.45)")


def spec_of(similarity: str = "rsa", budget: str = "choose = budget(0.5)", more: str = "") -> Spec:
    return loads(NETWORK.replace("SIMILARITY", similarity).replace("BUDGET", budget) + more)


def proposed(spec: Spec, epoch: int) -> tuple[Proposal, list[tuple[str, dict[str, Any]]]]:
    """What a phase proposes for a network that is made here."""
    said: list[tuple[str, dict[str, Any]]] = []
    view = viewed(spec, randomised(spec), samples())
    assert spec.structure is not None

    def say(kind: str, **fields: Any) -> None:
        said.append((kind, fields))

    view = attrs.evolve(view, say=say, position=Position(epoch=epoch))
    return Mtsl(spec.structure.settings).decide(view), said


@pytest.mark.parametrize(
    ("more", "key"),
    [("threshold = 0.8", "threshold"), ("alone = threshold", "alone"), ("exact_tasks = 4", "exact_tasks")],
)
def test_a_budget_and_what_is_said_of_groups_do_not_go_together(more: str, key: str) -> None:
    with pytest.raises(MtlError) as raised:
        spec_of(budget=f"choose = budget(0.5)\n  {more}")
    (found,) = raised.value.diagnostics
    assert (found.code, found.cause.split()[0]) == ("MTL202", f"`{key}`")


def test_a_budget_that_cannot_be_kept_and_a_call_of_the_threshold_are_refused() -> None:
    shared = spec_of(more="\nsharing {\n  stem..last = all\n}\n").cost().parameters
    part = shared / spec_of().cost().parameters
    assert spec_of(budget=f"choose = budget({part + 0.001:.4f})").structure is not None
    for budget, cause in (
        (f"budget({part - 0.001:.4f})", "with every layer shared there are"),
        ("threshold(0.8)", "cannot be `threshold`, which is a key of its own, `threshold = 0.8`, by which merges"),
    ):
        with pytest.raises(MtlError) as raised:
            spec_of(budget=f"choose = {budget}")
        (found,) = raised.value.diagnostics
        assert cause in found.cause
        assert found.place[0] == 34


def test_without_a_budget_hash_and_code_are_what_they_were() -> None:
    plain, said, chosen = (spec_of(budget=each) for each in ("", "choose = none", "choose = budget(0.5)"))
    assert digest(plain) == digest(said) != digest(chosen)
    codes = [compile_spec(each)["train.py"] for each in (plain, said, chosen)]
    assert ["choose=" in code for code in codes] == [False, False, True]
    assert codes[0] == codes[1]
    assert "choose=Budget(part=0.5)" in codes[2]


@pytest.mark.parametrize(("similarity", "measured"), [("rsa", rsa_matrix), ("cka", cka_matrix)])
def test_each_phase_takes_an_even_share_of_what_is_left(similarity: str, measured: Any) -> None:
    spec, apart = spec_of(similarity), spec_of(similarity).cost().parameters
    proposal, said = proposed(spec, 1)
    after = attrs.evolve(spec, sharing=proposal.sharing).cost().parameters
    told = dict(said)["spending"]
    assert told == {"parameters": after, "allowed": int(apart - (apart - 0.5 * apart) / 3), "budget": int(0.5 * apart)}
    assert after <= told["allowed"]
    # One merge less would not have been enough.
    least = min(spec.cost().layers[layer].one.parameters for layer in ("stem", "body", "last"))
    assert after + max(least, 1) > told["allowed"] or len(proposal.decisions) == 1
    # The first merge is of the two whose copies of the first layer are most alike.
    rows = {fields["layer"]: fields["similarity"] for kind, fields in said if kind == "budget_similarity"}
    tasks = sorted(spec.sharing.tasks)
    view = viewed(spec, randomised(spec), samples())
    values = [Value("stem", frozenset((task,))) for task in tasks]
    found = view.features(values, 12)
    expected = measured([found[value] for value in values])
    torch.testing.assert_close(torch.tensor(rows["stem"], dtype=torch.float64), expected.cpu())
    best = max(itertools.combinations(range(3), 2), key=lambda pair: float(expected[pair]))
    assert {tasks[place] for place in best} <= proposal.sharing.component("stem", tasks[best[0]])


def test_the_last_phase_keeps_the_budget_and_a_network_within_it_stays() -> None:
    spec = spec_of()
    proposal, _ = proposed(spec, 3)
    after = attrs.evolve(spec, sharing=proposal.sharing)
    assert after.cost().parameters <= 0.5 * spec.cost().parameters
    assert {each.fields["layer"] for each in proposal.decisions} >= {"stem", "pool", "body"}
    again, told = proposed(attrs.evolve(after, history=()), 3)
    assert (again.decisions, again.sharing) == ((), after.sharing)
    assert [kind for kind, _ in told] == ["spending"]


@pytest.mark.parametrize("more", ["", "\n  transfer = amalgamate(epochs=1)"])
def test_at_the_frontier_alone_a_phase_may_not_come_as_far_and_says_so(more: str) -> None:
    similarity = "rsa" if more else "gradient"
    proposal, said = proposed(spec_of(similarity, f"choose = budget(0.5){more}"), 3)
    assert {each.fields["layer"] for each in proposal.decisions} == {"stem"}
    told = dict(said)["spending"]
    assert told["parameters"] > told["allowed"] == told["budget"]


@pytest.mark.parametrize("similarity", ["readout", "stitched"])
def test_tasks_with_samples_of_their_own_merge_where_they_can_be_compared(similarity: str) -> None:
    """`two` reads other samples: its copies are read out like those of others, and never stitched."""
    spec, _, _, view = two_sources()
    apart = attrs.evolve(spec, sharing=spec.sharing.apart())
    block = loads(TEXT_OF_A_BLOCK.replace("SIMILARITY", similarity)).structure
    assert block is not None
    said: list[str] = []
    view = attrs.evolve(view, spec=apart, model=randomised(apart), say=lambda kind, **_: said.append(kind))
    proposal = Mtsl(block.settings).decide(view)
    together = {tasks for layer in apart.backbone.layers for tasks in proposal.sharing.partition(layer)}
    assert frozenset({"kind", "one"}) in together or similarity == "readout"
    assert any("two" in tasks and len(tasks) > 1 for tasks in together) == (similarity == "readout")
    assert ("incomparable" in said) == (similarity == "stitched")
    after = attrs.evolve(apart, sharing=proposal.sharing).cost().parameters
    assert after < apart.cost().parameters


@pytest.mark.soak
@pytest.mark.parametrize("transfer", ["average", "average\n  match = channels", "amalgamate(epochs=1)"])
def test_a_run_keeps_its_budget_and_goes_on_to_the_same_bits(
    transfer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    phases = "[1, 2]" if transfer.startswith("average") else "[1, 2, 3]"
    block = f"phases = {phases}\n  choose = budget(0.6)\n  similarity = rsa(samples=40)\n  transfer = {transfer}"
    job = text("mtsl", epochs=4).replace(
        "phases = [1]\n  threshold = 0\n  align = 0.1\n  similarity = cka(samples=40)", block
    )
    assert block in job
    found = []
    for ends in ((), (1, 2)):
        place = tmp_path / str(len(ends))
        place.mkdir()
        monkeypatch.chdir(place)
        visits(place)
        found.append(run(place, job, ends))
    one, other = found
    assert load(one.spec).source.text == load(other.spec).source.text
    names = [f"checkpoints/epoch-004/{part}.safetensors" for part in ("weights", "optimizer")]
    for left, right in ([load_file(folder.path / name) for folder in found] for name in names):
        assert left.keys() == right.keys()
        assert all(torch.equal(value, right[key]) for key, value in left.items())
    spec, told = load(one.spec), of(events(one.path), "spending")
    assert [event["parameters"] for event in told][-1] == spec.cost().parameters
    assert spec.cost().parameters <= 0.6 * loads(job).cost().parameters
