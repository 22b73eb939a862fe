"""docs/pretrained.md: its specs fill with files of the names that its lines write, and its backbone of several outputs works."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from mtsldsl import build_model
from mtsldsl.editing import loads
from mtsldsl.runtime.network.pretrained.filling import fill
from mtsldsl.sharing import Sharing
from tests.docs.pages import DOCS, completed, examples, frame_of
from tests.runtime.pretrained.plain_networks import BOTTLENECK, ResNet, randomised

PAGE = DOCS / "pretrained.md"
MTL = examples(PAGE, "mtl")

FEATURES = """\
from torch import nn
from tests.runtime.pretrained.plain_networks import BOTTLENECK, ResNet

class Features(nn.Module):
    def __init__(self, name):
        super().__init__()
        assert name == "resnet50"
        self.network = ResNet((1, 1, 1), BOTTLENECK)  # less deep: the features have the sizes of ResNet-50

    def forward(self, image):
        body = self.network
        features = nn.functional.max_pool2d(body.bn1(body.conv1(image)).relu(), 3, 2, 1)
        found = {}
        for place, stage in (("c2", body.layer1), ("c3", body.layer2), ("c4", body.layer3)):
            found[place] = features = stage(features)
        return found
"""


def spec_with(word: str) -> str:
    """The whole text of the first example that has the word."""
    return completed(next(each.text for each in MTL if word in each.text), frame_of(PAGE))


def test_the_recipe_freezes_what_the_file_fills_and_then_lets_it_learn_slowly() -> None:
    first, second = loads(spec_with("stem..enc4 = frozen")), loads(spec_with("enc2..enc4 = rate(0.1)"))
    assert first.backbone == second.backbone
    assert first.frozen == {*first.backbone.layers}
    assert first.train.init.name == "start"
    assert (second.frozen, second.rates) == ({"stem", "enc1"}, dict.fromkeys(("enc2", "enc3", "enc4"), 0.1))


def test_the_specs_with_a_resnet_50_fill_with_it() -> None:
    source = randomised(ResNet((3, 4, 6, 3), BOTTLENECK)).state_dict()
    line = next(each.text for each in examples(PAGE, "text") if "begin with" in each.text)
    first, normalised = loads(MTL[0].text), loads(spec_with("normalize("))
    assert first.backbone == normalised.backbone
    assert first.train.init == normalised.train.init
    spec = normalised.with_sharing(Sharing.all(normalised.backbone, normalised.sharing.tasks))
    model = build_model(spec)
    found = fill(spec, model, source, str(spec.train.init.arguments["map"]))
    assert (len(found.layers), found.anew, found.left) == (5, [], [])
    assert all(name in line for name in found.head)
    stem = next(model.get_submodule("stem").children())
    assert torch.equal(stem.get_parameter("conv1.weight"), source["conv1.weight"])


def test_the_backbone_with_features_of_several_sizes_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a network in plain PyTorch in the place of timm's."""
    (tmp_path / "backbones.py").write_text(FEATURES, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    spec = loads(spec_with("taps="))
    outputs = build_model(spec).eval()(torch.rand(2, 3, 224, 224))
    assert {name: tuple(value.shape) for name, value in outputs.items()} == {"room": (2, 6), "people": (2, 1)}
    sys.modules.pop("backbones", None)
