"""`train --weights`: what a new network has in common with another begins with its weights, bit for bit or as a mean."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from mtsldsl import build_model, load_run, loads
from mtsldsl.diagnostics import MtlError
from mtsldsl.runtime.network.initial_state import begin_with
from mtsldsl.runtime.run.events import Warned
from mtsldsl.runtime.run.initial_weights import InitialWeights, begin_run
from tests import prepared

TEXT = """\
mtl 1

data arrays {
  path  = "rows.npz"
  input = row(6)
  batch = 8
}

task a {
  target = values(2)
  head   = linear(2)
}

task b {
  target = values(1)
  head   = linear(1)
}

backbone {
  stem = linear(8) | batch_norm | tanh
  last = linear(5) | tanh
}

train {
  epochs = 1
}

sharing {
  stem = a + b
}
"""


def train(folder: Path, name: str, text: str, *words: str) -> Any:
    (folder / f"{name}.mtl").write_text(text, encoding="utf-8")
    return prepared.run("-m", "mtsldsl", "train", f"{name}.mtl", "--device", "cpu", *words, cwd=folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("weights")
    chance = np.random.default_rng(0)
    sizes = {"row": 6, "a": 2, "b": 1, "c": 1}
    np.savez(made / "rows.npz", **{name: chance.normal(size=(80, size)) for name, size in sizes.items()})
    done = train(made, "first", TEXT, "--quiet")
    assert done.returncode == 0, done.stderr
    return made


OTHER = TEXT.replace("task b {", "task c {").replace("a + b", "a, c").replace("linear(2)\n", "linear(3) | linear(2)\n")


def test_copies_take_those_of_their_tasks_and_what_is_other_is_anew(folder: Path) -> None:
    spec, model = load_run(folder / "runs/first/1")
    other = loads(OTHER)
    found = build_model(other)
    begun = begin_with(other, found, spec, model.state_dict())
    assert list(begun.taken) == ["stem.a", "stem.c", "last.a", "last.c"]
    assert begun.anew == {"heads.a": "has other sizes there", "heads.c": "is not there"}
    old, new = model.state_dict(), found.state_dict()
    for name, value in old.items():
        if name.startswith("stem."):
            for task in "ac":
                assert torch.equal(new[name.replace("a+b", task)], value), name
    for part in ("weight", "bias"):
        one, both = (f"last.{task}.linear1.{part}" for task in "ab")
        assert torch.equal(new[one], old[one])
        # of a task that was not there the mean of all
        assert torch.allclose(new[f"last.c.linear1.{part}"], (old[one] + old[both]) / 2, atol=1e-7)


def test_copies_that_were_apart_are_averaged_where_they_are_shared_now(folder: Path) -> None:
    spec, model = load_run(folder / "runs/first/1")
    shared = loads(TEXT.replace("stem = a + b", "stem..last = all"))
    found = build_model(shared)
    begun = begin_with(shared, found, spec, model.state_dict())
    assert begun.anew == {}
    old, new = model.state_dict(), found.state_dict()
    mean = (old["last.a.linear1.weight"] + old["last.b.linear1.weight"]) / 2
    assert torch.allclose(new["last.a+b.linear1.weight"], mean, atol=1e-7)


def test_a_run_begins_with_them_and_says_so(folder: Path) -> None:
    """At a rate of nearly nothing it ends with them as well."""
    still = OTHER.replace("epochs = 1", "epochs = 1\n  optimizer = sgd(lr=1e-30)")
    done = train(folder, "second", still, "--weights", "runs/first")
    assert done.returncode == 0, done.stderr
    line = "4 of 6 parts begin with weights of runs/first; `heads.a` has other sizes there; `heads.c` is not there"
    assert line in done.stdout.splitlines()
    lines = (folder / "runs/second/1/events.jsonl").read_text(encoding="utf-8").splitlines()
    begun = next(event for event in map(json.loads, lines) if event["event"] == "begun")
    assert begun["text"] == line
    first, second = (load_run(folder / f"runs/{name}/1")[1].state_dict() for name in ("first", "second"))
    assert torch.equal(second["stem.a.linear1.weight"], first["stem.a+b.linear1.weight"])
    assert begun["sha256"] == InitialWeights.of(folder / "runs/first").digest()


def test_so_it_does_with_an_exported_file(folder: Path) -> None:
    words = "export", "runs/first", "--to", "safetensors", "-o", "first.safetensors"
    assert prepared.run("-m", "mtsldsl", *words, cwd=folder).returncode == 0
    of_file, of_run = (InitialWeights.of(folder / name) for name in ("first.safetensors", "runs/first/1"))
    assert of_file.digest() == of_run.digest()
    assert of_file.spec.sharing == of_run.spec.sharing
    assert "6 of 6 parts" not in (text := of_file.fill(loads(TEXT), build_model(loads(TEXT)))[0])
    assert text.startswith("5 of 5 parts begin with weights of ")


@pytest.mark.parametrize(
    ("ends", "filled", "rest"),
    [
        ("since=last", ["last.a", "last.b", "heads.a", "heads.b"], "`stem.a+b` begins anew, as `init` says"),
        ("until=stem", ["stem.a+b"], "`last.a`, `last.b`, `heads.a`, `heads.b` begin anew, as `init` says"),
        ("since=last, until=last", ["last.a", "last.b"], "`stem.a+b`, `heads.a`, `heads.b` begin anew, as `init` says"),
    ],
)
def test_init_may_say_from_which_layer_to_which(folder: Path, ends: str, filled: list[str], rest: str) -> None:
    said = f'epochs = 1\n  init = start("{folder}/runs/first", {ends})'
    spec = loads(TEXT.replace("epochs = 1", said))
    weights = InitialWeights.said_by(spec)
    assert weights is not None
    network, anew = build_model(spec), build_model(spec).state_dict()
    verb = "begins" if len(filled) == 1 else "begin"
    text = f"{len(filled)} of 5 parts {verb} with weights of {folder}/runs/first; {rest}"
    assert weights.fill(spec, network) == (text, filled)
    for name, value in network.state_dict().items():
        source = weights.state if name.rsplit(".", 2)[0] in filled else anew
        assert torch.equal(value, source[name]), name


@pytest.mark.parametrize(
    ("frozen", "init", "said"),
    [
        ("stem", "none", "`stem` is frozen"),
        ("stem..last", "start({run})", None),
        ("stem..last", "start({run}, since=last)", "`stem` is frozen"),
        ("stem..last", "start({run}, until=stem)", "`last` is frozen"),
        ("stem = frozen\n  a", "none", "`stem`, `heads.a` are frozen"),
    ],
)
def test_a_run_warns_of_what_is_frozen_as_the_seed_drew_it(
    folder: Path, frozen: str, init: str, said: str | None
) -> None:
    init = init.format(run=f'"{folder}/runs/first"')
    spec = loads(TEXT.replace("epochs = 1", f"epochs = 1\n  init = {init}") + f"\ntuning {{\n  {frozen} = frozen\n}}\n")
    told = begin_run(InitialWeights.said_by(spec), spec, build_model(spec))
    warned = [each.text for each in told if isinstance(each, Warned)]
    rest = " with the weights that the seed drew, as nothing has filled them (see MTL945)"
    assert warned == ([] if said is None else [f"{said}{rest}"])


def test_a_run_and_a_dry_run_warn_of_what_did_not_fit(folder: Path) -> None:
    text = OTHER + "\ntuning {\n  stem..last = frozen\n  a = frozen\n}\n"  # of which the head has other sizes there
    for words in (["--dry-run"], []):
        done = train(folder, "frozen", text, "--weights", "runs/first", "--quiet", *words)
        assert done.returncode == 0, done.stderr
        assert "warning: `heads.a` is frozen with the weights that the seed drew" in " ".join(done.stderr.split())
    events = (folder / "runs/frozen/1/events.jsonl").read_text(encoding="utf-8").splitlines()
    assert [each["about"] for each in map(json.loads, events) if each["event"] == "warning"].count("tuning") == 1


def test_what_is_no_such_file_or_has_nothing_in_common_is_refused(folder: Path) -> None:
    save_file({"x": torch.zeros(1)}, folder / "bare.safetensors")
    (folder / "broken.safetensors").write_bytes(b"no")
    for name in ("bare.safetensors", "broken.safetensors", "nowhere.safetensors"):
        with pytest.raises(MtlError) as refused:
            InitialWeights.of(folder / name)
        assert [each.code for each in refused.value.diagnostics] == ["MTL805"]
    strange = TEXT
    for name, other in (("stem", "root"), ("last", "leaf"), ("a + b", "c + d")):
        strange = strange.replace(name, other)
    for task, other in (("a", "c"), ("b", "d")):
        strange = strange.replace(f"task {task} {{", f"task {other} {{\n  field  = {task}")
    done = train(folder, "strange", strange, "--weights", "runs/first")
    assert done.returncode == 1
    assert "have no layer and no head of this network" in done.stderr
    assert not (folder / "runs/strange/1").exists()
    done = train(folder, "first", TEXT, "--weights", "runs/first", "--resume", "runs/first")
    assert done.returncode == 2
