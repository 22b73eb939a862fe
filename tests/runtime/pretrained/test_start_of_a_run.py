"""`init = start("file", map=...)` in a spec: a run begins so, says so, and says what does not fit before it does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from mtsldsl import load_run, loads
from mtsldsl.diagnostics import MtlError
from mtsldsl.ir.normal import digest
from mtsldsl.ir.settings import settings
from mtsldsl.runtime.run.initial_weights import InitialWeights
from tests import prepared
from tests.runtime.in_process import of, trained, trained_file
from tests.runtime.pretrained.plain_networks import BASIC, ResNet, randomised
from tests.runtime.pretrained.test_residual_networks import SMALL
from tests.runtime.test_clip_warmup_stop import TEXT as STOPPED

TEXT = SMALL.format(file="resnet18", block="basic_block", rest="", more="").replace("x.npz", "images.npz")
TEXT = TEXT.replace("(3, 64, 64)", "(3, 16, 16)\n  batch = 4").replace(
    "epochs  = 1", "epochs = 1\n  optimizer = sgd(lr=1e-30)"
)


def train(folder: Path, name: str, text: str, *words: str) -> Any:
    (folder / f"{name}.mtl").write_text(text, encoding="utf-8")
    return prepared.run("-m", "mtsldsl", "train", f"{name}.mtl", "--device", "cpu", *words, cwd=folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("start")
    chance = np.random.default_rng(0)
    images = chance.integers(0, 256, (20, 3, 16, 16)).astype(np.uint8)
    np.savez(made / "images.npz", image=images, a=chance.integers(0, 3, 20), b=chance.normal(size=(20, 2)))
    save_file(randomised(ResNet((2, 1), BASIC, width=8)).state_dict(), made / "x.safetensors")
    return made


def test_a_run_begins_with_the_file_and_says_which_layers_do_and_what_is_left_out(folder: Path) -> None:
    done = train(folder, "first", TEXT)
    assert done.returncode == 0, done.stderr
    line = "3 of 3 layers begin with the ResNet of torchvision in x.safetensors; "
    line += "`fc.bias`, `fc.weight` of the file, its classifier, are left out"
    assert line in done.stdout.splitlines()
    events = map(json.loads, (folder / "runs/first/1/events.jsonl").read_text(encoding="utf-8").splitlines())
    begun = next(event for event in events if event["event"] == "begun")
    assert begun["text"] == line
    weights = InitialWeights.said_by(loads(TEXT.replace("x.safe", f"{folder}/x.safe")))
    assert weights is not None
    assert begun["sha256"] == weights.digest()
    # at a rate of nearly nothing it ends with them as well
    _, model = load_run(folder / "runs/first/1")
    wanted = weights.state["layer2.0.conv2.weight"]
    for task in "ab":
        assert torch.equal(model.get_parameter(f"enc2.{task}.conv2.weight"), wanted)


def test_a_dry_run_says_it_too(folder: Path) -> None:
    done = train(folder, "dry", TEXT, "--dry-run")
    assert "3 of 3 layers begin with the ResNet of torchvision in x.safetensors" in done.stdout


def test_without_a_map_it_is_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = STOPPED.replace("epochs    = 30", "epochs    = 1").replace("stop      = patience(2)", "")
    trained(tmp_path, rows)
    began = rows.replace("clip ", 'init      = start("runs/job/1")\n  clip ').replace("lr=0.1", "lr=1e-30")
    path = tmp_path / "next.mtl"
    path.write_text(began, encoding="utf-8")
    (begun,) = of(trained_file(path), "begun")
    assert begun["text"] == "3 of 3 parts begin with weights of runs/job/1"
    (_, first), (_, second) = (load_run(tmp_path / "runs/job" / number) for number in "12")
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name])


@pytest.mark.soak
def test_without_a_map_it_is_a_run_or_a_run_or_a_file_of_one_and_the_command_line_goes_before_it(folder: Path) -> None:
    text = TEXT.replace('start("x.safetensors", map=torchvision)', 'start("runs/zeroth")')
    plain = TEXT.replace('  init = start("x.safetensors", map=torchvision)\n', "")
    assert train(folder, "zeroth", plain).returncode == 0
    done = train(folder, "next", text)
    assert "8 of 8 parts begin with weights of runs/zeroth" in done.stdout.splitlines()
    done = train(folder, "last", TEXT, "--weights", "runs/zeroth")
    assert "8 of 8 parts begin with weights of runs/zeroth" in done.stdout.splitlines()


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ('start("no.safetensors", map=timm)', "`no.safetensors` cannot be read as weights"),
        ('start("images.npz", map=timm)', "`images.npz` cannot be read as weights"),
        ('start("x.safetensors", map=transformers)', "are of no network of transformers that is known"),
        ('start("x.safetensors")', "does not say which network its weights are of"),
    ],
)
def test_what_does_not_fit_is_said_and_leaves_no_folder(folder: Path, said: str, cause: str) -> None:
    done = train(folder, "wrong", TEXT.replace('start("x.safetensors", map=torchvision)', said))
    assert done.returncode == 1
    assert "MTL805" in done.stderr
    assert cause in " ".join(done.stderr.split())
    assert not list(folder.glob("runs/wrong/*"))


@pytest.mark.parametrize("said", ['start("no.safetensors", map=timm)', 'start("no.safetensors")'])
def test_a_file_that_is_not_there_is_told_with_its_place(said: str) -> None:
    with pytest.raises(MtlError, match="MTL805") as refused:
        InitialWeights.said_by(loads(TEXT.replace('start("x.safetensors", map=torchvision)', said)))
    (found,) = refused.value.diagnostics
    assert found.span is not None
    assert found.span.text == said


@pytest.mark.parametrize(
    ("said", "code", "cause"),
    [
        ('start("x", map=keras)', "MTL206", "`map` of `start` cannot be `keras`"),
        ("start(map=timm)", "MTL204", "`start` needs `file`"),
        ('start("x", map=timm, until=enc3)', "MTL206", "`until` of `start` is `enc3`, which is no layer"),
        ('start("x", map=timm, since=enc3)', "MTL206", "`since` of `start` is `enc3`, which is no layer"),
        (
            'start("x", map=timm, since=enc1, until=stem)',
            "MTL206",
            "`start` begins at `enc1`, which comes after `stem`",
        ),
        ('start("x", since=enc3)', "MTL206", "`since` of `start` is `enc3`, which is no layer"),
        ('start("x", prefix="a.")', "MTL206", "`prefix` is for the file of another library, and `start` has no `map`"),
        ('begin("x")', "MTL206", "`init` cannot be `begin`"),
    ],
)
def test_a_spec_is_held_to_what_it_can_say(said: str, code: str, cause: str) -> None:
    with pytest.raises(MtlError) as refused:
        loads(TEXT.replace('start("x.safetensors", map=torchvision)', said))
    assert [(found.code, found.cause) for found in refused.value.diagnostics] == [(code, cause)]


def test_settings_and_digest_have_it_and_those_of_a_spec_without_it_stay_what_they_were() -> None:
    spec = loads(TEXT)
    without = loads(TEXT.replace('start("x.safetensors", map=torchvision)', "none"))
    assert settings(spec)["train.init"] == 'start(file="x.safetensors", map=torchvision)'
    assert settings(without)["train.init"] == "none"
    said = loads(TEXT, overrides={"train.init": settings(spec)["train.init"]})
    assert said.train.init == spec.train.init
    later = loads(TEXT.replace("map=torchvision", "map=torchvision, since=enc1"))
    assert settings(later)["train.init"] == 'start(file="x.safetensors", map=torchvision, since=enc1)'
    assert len({digest(spec), digest(without), digest(later)}) == 3
    assert digest(spec) == "36e4b53399ff69c609f959c0f0bca7ba64c4e21ee0f2b05169ade377b0ab1c0b"  # as before `since`
    assert digest(without) == digest(loads(TEXT.replace('  init = start("x.safetensors", map=torchvision)\n', "")))
