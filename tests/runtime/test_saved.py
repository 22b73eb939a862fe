"""Every part of a training as tensors and JSON: nothing is lost on the way, and nothing damaged is taken."""

from __future__ import annotations

import json
import os
import shutil
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

from mtsldsl.diagnostics import MtlError
from mtsldsl.editing import load
from mtsldsl.runtime.data import load_data
from mtsldsl.runtime.learning.saved import Saved
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.run.checkpoint import length_of_events, load_weights, restore_checkpoint, save_checkpoint
from mtsldsl.runtime.run.folder import RunFolder
from mtsldsl.runtime.run.record_file import read_events
from tests.runtime.started import started, step

NAMES = st.text("abc.+_", min_size=1, max_size=4)
FACTS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
LEAVES = FACTS | st.lists(FACTS, max_size=3) | st.integers(0, 3).map(torch.arange)
TREES = st.dictionaries(
    NAMES, st.recursive(LEAVES, lambda inner: st.dictionaries(NAMES, inner, max_size=3)), max_size=4
)


def plain(tree: object) -> object:
    """The tree with each tensor as its numbers; a mapping without a leaf is no more than nothing."""
    if isinstance(tree, dict):
        return {key: plain(value) for key, value in tree.items()}
    return ("tensor", tree.tolist()) if isinstance(tree, Tensor) else tree


def slashed(tree: dict[str, object]) -> dict[str, object]:
    """The tree with `/` in the keys of its mappings."""
    return {
        key.replace("_", "/") if isinstance(value, dict) else key: slashed(value) if isinstance(value, dict) else value
        for key, value in tree.items()
    }


def told_apart(tree: dict[str, object], path: str = "") -> list[str]:
    """Where each mapping of a tree would be with `/` between the keys."""
    inner = [(f"{path}{key}/", value) for key, value in tree.items() if isinstance(value, dict)]
    return [path, *(each for place, value in inner for each in told_apart(value, place))]


@given(TREES | TREES.map(slashed))
def test_nested_state_comes_back_from_tensors_and_json(tree: dict[str, object]) -> None:
    assume(len(set(told_apart(tree))) == len(told_apart(tree)))
    saved = Saved.of(tree)
    assert all(isinstance(value, Tensor) for value in saved.tensors.values())
    again = Saved(saved.tensors, json.loads(json.dumps(saved.facts)))
    assert plain(again.state()) == plain(tree)


@pytest.mark.parametrize(
    "tree", [{"a/b": torch.zeros(1)}, {"a": {"b": {}}, "a/b": {}}, {"a": {"/b": torch.zeros(1)}}], ids=str
)
def test_what_could_not_be_told_apart_again_is_never_saved(tree: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"called a?/b"):
        Saved.of(tree)


SPEC = Path(__file__).parents[2] / "specs" / "scenes.mtl"
OPTIMIZERS = {
    "adam": lambda named: torch.optim.Adam(named, lr=1e-3, fused=True),
    "adamw": lambda named: torch.optim.AdamW(named, lr=1e-3, amsgrad=True),
    "sgd": lambda named: torch.optim.SGD(named, lr=1e-2, momentum=0.9, nesterov=True),
    "plain sgd": lambda named: torch.optim.SGD(named, lr=1e-2),
    "radam": lambda named: torch.optim.RAdam(named, lr=1e-3),
}
SCHEDULERS = {
    "none": lambda _: None,
    "multistep": lambda optimizer: torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 2, 4], gamma=0.3),
    "cosine": lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 6),
    "exponential": lambda optimizer: torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.7),
    "step": lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 2),
}


def training_of(optimizer: str, scheduler: str, balance: str) -> Training:
    overrides = {"data.input": "image(3, 16, 16)", "data.batch": 2, "train.balance": balance}
    return started(load(SPEC, overrides), OPTIMIZERS[optimizer], SCHEDULERS[scheduler])


def learn(training: Training, epochs: range) -> None:
    training.model.train()
    for epoch in epochs:
        generator = torch.Generator().manual_seed(epoch)
        batch = {
            "image": torch.rand(2, 3, 16, 16, generator=generator),
            "label": torch.randint(0, 5, (2, 16, 16), generator=generator),
            "depth": 1 + torch.rand(2, 1, 16, 16, generator=generator),
            "normal": torch.nn.functional.normalize(torch.randn(2, 3, 16, 16, generator=generator), dim=1),
            "edge": torch.rand(2, 1, 16, 16, generator=generator).round(),
        }
        losses = training.losses(training.model(batch["image"]), batch)
        step(training, losses)
        training.end_epoch({name: value.item() for name, value in losses.values.items()})


CASES = [
    ("adam", "multistep", "equal"),
    ("adamw", "cosine", "uncertainty"),
    ("sgd", "exponential", "dwa"),
    ("plain sgd", "none", "pcgrad"),
    ("radam", "step", "equal"),
]


@pytest.mark.parametrize(("optimizer", "scheduler", "balance"), CASES)
def test_a_restored_training_goes_on_to_the_last_bit(
    optimizer: str, scheduler: str, balance: str, tmp_path: Path
) -> None:
    whole = training_of(optimizer, scheduler, balance)
    learn(whole, range(3))
    folder = RunFolder.create(tmp_path, "run")
    save_checkpoint(folder, whole, 17)
    drawn = torch.rand(3)
    learn(whole, range(3, 5))
    again = training_of(optimizer, scheduler, balance)
    (checkpoint,) = folder.checkpoints.iterdir()
    restore_checkpoint(checkpoint, again)
    assert torch.equal(torch.rand(3), drawn)
    assert again.position.epoch == again.position.step == 3
    assert length_of_events(checkpoint) == 17
    learn(again, range(3, 5))
    assert again.optimizer.param_groups[0]["lr"] == whole.optimizer.param_groups[0]["lr"]
    for left, right in ((whole.model, again.model), (whole.balance, again.balance)):
        assert left.state_dict().keys() == right.state_dict().keys()
        assert all(torch.equal(value, right.state_dict()[name]) for name, value in left.state_dict().items())


def test_a_checkpoint_is_safetensors_json_and_the_spec_alone(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "run")
    training = training_of("adam", "multistep", "uncertainty")
    learn(training, range(1))
    save_checkpoint(folder, training, 0)
    (checkpoint,) = folder.checkpoints.iterdir()
    assert {path.suffix for path in checkpoint.iterdir()} == {".safetensors", ".json", ".mtl"}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint."""
    folder = RunFolder.create(tmp_path_factory.mktemp("sound"), "run")
    training = training_of("adam", "none", "equal")
    learn(training, range(1))
    save_checkpoint(folder, training, 0)
    (checkpoint,) = folder.checkpoints.iterdir()
    return checkpoint


@pytest.mark.parametrize("name", ["spec.mtl", "weights.safetensors", "optimizer.safetensors", "state.json"])
@pytest.mark.parametrize("harm", ["changed", "cut", "gone"])
def test_a_damaged_checkpoint_is_refused_by_name(name: str, harm: str, sound: Path, tmp_path: Path) -> None:
    checkpoint = tmp_path / "epoch-001"
    shutil.copytree(sound, checkpoint)
    path = checkpoint / name
    content = bytearray(path.read_bytes())
    if harm == "gone":
        path.unlink()
    else:
        content[len(content) // 2] ^= 1
        path.write_bytes(content if harm == "changed" else content[:-1])
    with pytest.raises(MtlError) as caught:
        length_of_events(checkpoint)
    (found,) = caught.value.diagnostics
    assert found.code == "MTL805"
    assert name in found.cause


SOUND = {"version": 2, "events": 0, "parts": [], "facts": {}}
WRONG: list[object] = [
    [], 3, {}, {"version": 2}, {**SOUND, "events": -5}, {**SOUND, "events": "0"}, {**SOUND, "parts": [3]},
    {**SOUND, "parts": ["../other"]}, {**SOUND, "facts": []}, {**SOUND, "facts": {"loop": []}},
]  # fmt: skip
"""What no run writes into `state.json`."""


@pytest.mark.parametrize("state", WRONG)
def test_a_state_that_no_run_writes_is_refused_though_its_digest_is_right(
    state: object, sound: Path, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "epoch-001"
    shutil.copytree(sound, checkpoint)
    (checkpoint / "state.json").write_text(json.dumps(state), encoding="utf-8")
    digests = json.loads((checkpoint / "digests.json").read_text(encoding="utf-8"))
    digests["state.json"] = sha256((checkpoint / "state.json").read_bytes()).hexdigest()
    (checkpoint / "digests.json").write_text(json.dumps(digests), encoding="utf-8")
    with pytest.raises(MtlError, match=r"MTL805[^$]*state.json does not say what a run writes there"):
        length_of_events(checkpoint)


@pytest.mark.parametrize("digests", [[], 3, None, {"/dev/zero": "0"}, {"../other": "0"}])
def test_digests_that_no_run_writes_are_refused_and_nothing_elsewhere_is_read(
    digests: object, sound: Path, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "epoch-001"
    shutil.copytree(sound, checkpoint)
    (checkpoint / "digests.json").write_text(json.dumps(digests), encoding="utf-8")
    with pytest.raises(MtlError, match=r"MTL805[^$]*has no digests of its files"):
        length_of_events(checkpoint)


@pytest.mark.parametrize("name", ["weights.safetensors", "state.json", "digests.json"])
def test_a_pipe_in_a_checkpoint_is_not_waited_for(name: str, sound: Path, tmp_path: Path) -> None:
    checkpoint = tmp_path / "epoch-001"
    shutil.copytree(sound, checkpoint)
    (checkpoint / name).unlink()
    os.mkfifo(checkpoint / name)
    with pytest.raises(MtlError, match="MTL805"):
        length_of_events(checkpoint)


def test_a_pipe_in_the_place_of_weights_or_of_a_record_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(MtlError, match=r"MTL805[^$]*it is no file"):
        load_weights(tmp_path / "pipe", torch.nn.Linear(1, 1))
    with pytest.raises(MtlError, match=r"MTL801[^$]*is no file"):
        list(read_events(tmp_path / "pipe"))


def test_a_checkpoint_of_version_0_1_is_refused_and_its_pickle_never_read(tmp_path: Path) -> None:
    checkpoint = tmp_path / "epoch-001"
    checkpoint.mkdir()
    (checkpoint / "state.pt").write_bytes(b"\x80\x04 not even a pickle")
    with pytest.raises(MtlError, match="another version"):
        length_of_events(checkpoint)


def test_what_a_phase_found_is_not_computed_again_until_something_is_learned() -> None:
    training = training_of("adam", "none", "equal")
    data = load_data(load(SPEC, {"data.input": "image(3, 16, 16)", "data.images": 32})).validation
    found = training.evaluate(data)
    assert training.evaluate(data) is not found  # nothing is kept unless a phase says so
    training.evaluated = (data, found)
    assert training.evaluate(data) is found
    other = training.evaluate(data.take(torch.arange(1)))
    assert other is not found
    learn(training, range(1))
    assert training.evaluate(data) is not found
