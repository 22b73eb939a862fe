"""`teach` of MTSL: the network as it was before the first merge teaches to the end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from mtsldsl import load
from mtsldsl.diagnostics import MtlError
from mtsldsl.editing import loads
from mtsldsl.ir import Spec
from mtsldsl.ir.normal import digest
from mtsldsl.runtime.data import load_data
from mtsldsl.runtime.learning.evaluation import evaluate
from mtsldsl.runtime.learning.saved import Saved
from mtsldsl.runtime.learning.teachers import Teachers
from mtsldsl.runtime.network.weights_digest import digest_of_weights
from mtsldsl.runtime.run.code import Code
from mtsldsl.runtime.run.folder import RunFolder
from mtsldsl.runtime.run.session import Session
from tests.methods.each_learner import run, text, visits
from tests.runtime.in_process import TASKS, events, of, rows
from tests.runtime.started import CPU


def written(*, merging: str = "phases = [1]") -> str:
    """Three epochs, with phases after some of them, and the mean of the weights in the place of the network."""
    return text("mtsl", epochs=3).replace("phases = [1]", f"{merging}\n  teach = 0.5")


def kept(folder: RunFolder, epoch: int, spec: Spec) -> Teachers:
    """The teachers of a checkpoint."""
    path = folder.checkpoints / f"epoch-{epoch:03d}"
    facts: Mapping[str, Any] = json.loads((path / "state.json").read_text(encoding="utf-8"))["facts"]["teachers"]
    return Teachers.restored(Saved(load_file(path / "teachers.safetensors"), facts), spec, CPU)


@pytest.mark.soak
def test_the_network_before_the_first_merge_teaches_to_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is the running mean, where there is one; later merges change no teacher. A run that was ended before and
    after goes on to the same bits."""
    found = []
    for ends in ((), (1, 2)):
        place = tmp_path / str(len(ends))
        place.mkdir()
        monkeypatch.chdir(place)
        visits(place)
        found.append(run(place, written(merging="phases = [1, 2]"), ends))
    one, other = found
    first = loads(written(merging="phases = [1, 2]"))
    told = events(one.path)
    phases, (taught,) = of(told, "phase"), of(told, "taught")
    assert [each.get("accepted") for each in phases] == [True, True]
    assert taught["text"] == (
        "the network as it was after epoch 1, which is one for each task, teaches `a`, `b`, `early` to the end, teach 0.5"
    )
    teachers = kept(one, 3, loads(one.spec.read_text(encoding="utf-8")))
    assert taught["sha256"] == digest_of_weights(teachers.model.state_dict())
    assert teachers.spec.sharing == first.sharing
    validation = load_data(first).validation
    reached = evaluate(teachers.model, first, validation, CPU)
    assert reached.losses == pytest.approx(phases[0]["before"]["losses"])
    soft = [each.get("soft") for each in of(told, "epoch")]
    assert soft[0] is None
    assert all(each.keys() >= {"a", "b"} for each in soft[1:])
    for part in ("weights", "average", "optimizer", "teachers"):
        left, right = (load_file(each.checkpoints / f"epoch-003/{part}.safetensors") for each in found)
        assert left.keys() == right.keys()
        assert all(torch.equal(value, right[name]) for name, value in left.items())
    assert soft == [each.get("soft") for each in of(events(other.path), "epoch")]


SMALL = """
backbone {
  stem = linear(4) | tanh
}

train {
  epochs = 2
}

structure mtsl {
  phases    = [1]
  threshold = LEAST
  teach     = 1
}
"""


def test_a_run_that_was_ended_after_the_merge_goes_on_with_the_same_teachers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for ends in ((), (1,)):
        place = tmp_path / str(len(ends))
        place.mkdir()
        monkeypatch.chdir(place)
        rows(place)
        found.append(run(place, TASKS + SMALL.replace("LEAST", "-0.5"), ends))
    soft = [[each.get("soft") for each in of(events(each.path), "epoch")] for each in found]
    assert soft[0] == soft[1]
    assert soft[0][0] is None
    assert soft[0][1].keys() == {"a", "b"}
    for part in ("weights", "optimizer", "teachers"):
        left, right = ((each.checkpoints / f"epoch-002/{part}.safetensors").read_bytes() for each in found)
        assert left == right


@pytest.mark.soak
def test_where_nothing_merges_nothing_teaches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is the run without, to the last bit; its end says so."""
    monkeypatch.chdir(tmp_path)
    rows(tmp_path)
    apart = TASKS + SMALL.replace("LEAST", "0.9999")
    losses = []
    for each in (apart, apart.replace("  teach     = 1\n", "")):
        (tmp_path / "job.mtl").write_text(each, encoding="utf-8")
        session = Session.create(load("job.mtl"), "job", tmp_path / "runs", "cpu", "quiet")
        Code.of(session.spec).run().main(session)
        session.close()
        told = events(session.folder.path)
        assert not of(told, "taught")
        losses.append([event["losses"] for event in of(told, "epoch")])
        said = [event for event in of(told, "warning") if event["about"] == "teachers"]
        assert len(said) == ("teach" in each)
    assert losses[0] == losses[1]


def test_a_spec_without_it_means_what_it_meant() -> None:
    without = TASKS + SMALL.replace("LEAST", "0.5").replace("  teach     = 1\n", "")
    none = without.replace("threshold = 0.5", "threshold = 0.5\n  teach = 0")
    some = without.replace("threshold = 0.5", "threshold = 0.5\n  teach = 1")
    assert digest(loads(none)) == digest(loads(without)) != digest(loads(some))


def test_no_run_is_taught_twice() -> None:
    both = TASKS + SMALL.replace("LEAST", "0.5").replace("epochs = 2", 'epochs = 2\n  teachers = "runs/each/1"')
    with pytest.raises(MtlError, match="MTL202: `teach` of `mtsl` lets the run's own network teach"):
        loads(both)
    assert loads(both, overrides={"train.teach": "0"}).structure is not None
