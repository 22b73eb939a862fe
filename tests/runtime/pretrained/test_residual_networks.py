"""`init = start("file", map=...)`: ResNets and the encoder of a U-Net compute what the networks of other libraries do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mtsldsl import build_model
from mtsldsl.diagnostics import MtlError
from mtsldsl.editing import load, loads
from mtsldsl.ir import Spec
from mtsldsl.runtime.network.pretrained.filling import Filled, fill
from mtsldsl.sharing import Sharing
from tests.runtime.pretrained.plain_networks import BASIC, BOTTLENECK, ResNet, VggFeatures, randomised

LIBRARY = Path(__file__).parents[3] / "specs" / "library"
SMALL = """\
mtl 1

import "mtsldsl/{file}.mtl"

data arrays {{
  path  = "x.npz"
  input = image(3, 64, 64)
}}

task a {{
  target = classes(3)
  head   = adaptive_avg_pool2d(1) | flatten | linear(3)
}}

task b {{
  target = values(2)
  head   = adaptive_avg_pool2d(1) | flatten | linear(2)
}}

backbone {{
  stem = resnet_stem(8)
  enc1 = {block}(8) * 2
  enc2 = {block}(16, stride=2)
{rest}}}

train {{
  epochs  = 1
  init = start("x.safetensors", map=torchvision{more})
}}
"""


def small(block: str = "basic_block", rest: str = "", more: str = "") -> Spec:
    file = "resnet18" if block == "basic_block" else "resnet50"
    return loads(SMALL.format(file=file, block=block, rest=rest, more=more))


def run_layers(spec: Spec, model: nn.Module, image: Tensor, layers: Sequence[str] | None = None) -> Tensor:
    """What the last of the layers gives, each the copy of its first task."""
    with torch.no_grad():
        for name in layers or spec.backbone.layers:
            image = next(model.get_submodule(name).children())(image)
    return image


def filled(spec: Spec, source: nn.Module, library: str = "torchvision", prefix: str = "") -> tuple[nn.Module, Filled]:
    model = build_model(spec).eval()
    return model, fill(spec, model, source.state_dict(), library, prefix)


def the_same(spec: Spec, model: nn.Module, source: nn.Module, size: int, layers: Sequence[str] | None = None) -> None:
    """Both give the same to 1e-5 of numbers that are about 1, and not all the same number."""
    image = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        wanted = source(image)
    assert 0.05 < float(wanted.std()) < 20
    found = run_layers(spec, model, image, layers)
    assert float((found - wanted).abs().max()) < 1e-5 * max(1.0, float(wanted.std()))


@pytest.mark.parametrize(
    ("name", "depths", "widened"),
    [
        ("resnet18", (2, 2, 2, 2), BASIC),
        pytest.param("resnet34", (3, 4, 6, 3), BASIC, marks=pytest.mark.soak),
        ("resnet50", (3, 4, 6, 3), BOTTLENECK),
    ],
)
def test_a_residual_network_of_the_library_computes_what_its_source_does(
    name: str, depths: Sequence[int], widened: int
) -> None:
    spec = load(LIBRARY / f"{name}.mtl")
    source = randomised(ResNet(depths, widened))
    model, found = filled(spec, source)
    assert (found.layers, found.anew) == (["stem", "enc1", "enc2", "enc3", "enc4"], [])
    assert (found.head, found.left) == (["fc.bias", "fc.weight"], [])
    the_same(spec, model, source, 64)


def test_the_names_of_timm_are_those_of_torchvision() -> None:
    spec, source = small(), randomised(ResNet((2, 1), BASIC, width=8))
    model, found = filled(spec, source, "timm")
    assert (found.anew, found.head, found.left) == ([], ["fc.bias", "fc.weight"], [])
    the_same(spec, model, source, 64)


def named_as_in_transformers(name: str) -> str:
    """`encoder.stages.1.layers.0.layer.1.convolution.weight` for `layer2.0.conv2.weight`."""
    place = re.sub(r"^layer(\d+)\.", lambda found: f"encoder.stages.{int(found[1]) - 1}.layers.", name)
    place = re.sub(r"^(conv1|bn1)", r"embedder.embedder.\1", place).replace("fc.", "classifier.1.")
    place = re.sub(r"\.(conv|bn)(\d)", lambda found: f".layer.{int(found[2]) - 1}.{found[1]}", place)
    place = re.sub(r"embedder\.layer\.0\.", "embedder.", place)
    place = place.replace(".downsample.0.", ".shortcut.conv.").replace(".downsample.1.", ".shortcut.bn.")
    return place.replace(".conv.", ".convolution.").replace(".bn.", ".normalization.")


@pytest.mark.parametrize("prefix", ["", "resnet."])
def test_so_are_those_of_transformers_in_another_form(prefix: str) -> None:
    spec, source = small("bottleneck_block"), randomised(ResNet((2, 1), BOTTLENECK, width=8))
    state = {named_as_in_transformers(name): value for name, value in source.state_dict().items()}
    assert "encoder.stages.1.layers.0.layer.1.convolution.weight" in state
    state = {name if name.startswith("class") else f"{prefix}{name}": value for name, value in state.items()}
    model = build_model(spec).eval()
    found = fill(spec, model, state, "transformers")
    assert (found.anew, found.head, found.left) == ([], ["classifier.1.bias", "classifier.1.weight"], [])
    the_same(spec, model, source, 64)


@pytest.mark.soak  # importing it takes seconds
@pytest.mark.parametrize("kind", ["basic", "bottleneck"])
def test_so_does_a_residual_network_of_transformers(kind: str) -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is no dependency: pip install transformers")
    widened = BASIC if kind == "basic" else BOTTLENECK
    sizes = [8 * widened, 16 * widened]
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=sizes, depths=[2, 1], layer_type=kind)
    whole = randomised(transformers.ResNetForImageClassification(config))
    spec = small("basic_block" if kind == "basic" else "bottleneck_block")
    model, found = filled(spec, whole, "transformers")
    assert found.head == ["classifier.1.bias", "classifier.1.weight"]
    source = Inner(whole.resnet)
    the_same(spec, model, source, 64)
    model, _ = filled(spec, whole.resnet, "transformers")
    the_same(spec, model, source, 64)


class Inner(nn.Module):
    """The last features of a network of transformers."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        features: Tensor = self.network(image).last_hidden_state
        return features


@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_the_encoder_of_the_u_net_computes_what_vgg_13_does(library: str) -> None:
    """Whose convolutions have a bias before batch normalisation, which is taken from the mean that it subtracts."""
    spec = load(LIBRARY / "unet.mtl", {"width": 8})
    source = randomised(VggFeatures(width=8))
    model, found = filled(spec, source, library)
    encoder = [f"enc{number}" for number in range(1, 6)]
    assert (found.layers, found.anew) == (encoder, ["dec4", "dec3", "dec2", "dec1"])
    assert (found.head, found.left) == ([], [])
    the_same(spec, model, source, 64, encoder)


def test_all_copies_of_a_layer_are_filled_alike_and_one_that_tasks_share_once() -> None:
    spec = small()
    source = randomised(ResNet((2, 1), BASIC, width=8))
    apart, _ = filled(spec.with_sharing(Sharing.each(spec.backbone, spec.sharing.tasks)), source)
    together, _ = filled(spec.with_sharing(Sharing.all(spec.backbone, spec.sharing.tasks)), source)
    for number, name in (("conv2", "layer1.0.conv2"), ("norm4", "layer1.1.bn2")):
        wanted = source.state_dict()[f"{name}.weight"]
        for model, copies in ((apart, ("a", "b")), (together, ("a+b",))):
            for copy in copies:
                assert torch.equal(model.get_parameter(f"enc1.{copy}.{number}.weight"), wanted)


def refusal(
    spec: Spec,
    state: dict[str, Tensor],
    prefix: str = "",
    since: str | None = None,
    until: str | None = None,
    library: str = "torchvision",
) -> str:
    """The cause of what is refused; the network is as it was."""
    model = build_model(spec)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(MtlError) as refused:
        fill(spec, model, state, library, prefix, since, until)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    (found,) = refused.value.diagnostics
    assert found.code == "MTL805"
    return found.cause


def state_of(depths: Sequence[int] = (2, 1), widened: int = BASIC) -> dict[str, Tensor]:
    return randomised(ResNet(depths, widened, width=8)).state_dict()


def test_what_is_missing_is_named() -> None:
    state = state_of()
    del state["layer1.1.bn1.running_mean"]
    said = "the file has no `layer1.1.bn1.running_mean`, and `enc1.norm3` (batch_norm) needs it"
    assert refusal(small(), state) == said
    with pytest.raises(MtlError, match="the file lacks it: take one that is whole"):
        fill(small(), build_model(small()), state, "torchvision")
    state = state_of()
    for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
        del state[f"layer1.1.bn1.{name}"]
    assert refusal(small(), state) == "`enc1.norm3` (batch_norm) comes where the file has `layer1.1.conv2` (conv2d)"
    state = state_of((2,))
    assert refusal(small(), state, until="enc2") == "the file ends before `enc2`, with what is in `stem`, `enc1`"
    state = state_of((1,))
    said = "the file has nothing for `enc1.conv3` (conv2d), and has weights for what is before it in the layer"
    assert refusal(small(), state) == said


def test_what_other_networks_have_besides_is_refused_by_name() -> None:
    """A network with other parts computes something else, as one with squeeze and excitation does."""
    state = state_of()
    state["layer1.0.se.fc1.weight"] = torch.zeros(2, 8, 1, 1)
    assert "`layer1.0.se.fc1.weight`, which a ResNet of torchvision has not" in refusal(small(), state)


def test_what_does_not_fit_is_named_with_both_shapes() -> None:
    said = "`layer1.0.conv1` in the file has a weight of (8, 8, 1, 1), and `enc1.conv1` (conv2d) one of (8, 8, 3, 3)"
    assert refusal(small(), state_of((2, 1), BOTTLENECK)) == said
    spec = small(rest="  last = conv2d(16, 3)\n")
    state = state_of((2, 2))
    said = "`layer2.1.conv1` in the file has a weight of"
    assert refusal(small("basic_block", "  last = conv2d(4, 3, bias=false)\n"), state).startswith(said)
    assert refusal(spec, state) == "`last.conv1` (conv2d) has a bias, and `layer2.1.conv1` in the file has none"
    state = state_of()
    state["conv1.weight"] = state["conv1.weight"].to(torch.int8)
    assert refusal(small(), state) == "`conv1` in the file has numbers of the type torch.int8"


def test_a_file_of_another_network_or_library_is_refused() -> None:
    said = "are of no network of torchvision that is known"
    assert said in refusal(small(), {"encoder.weight": torch.zeros(1)})
    assert said in refusal(small(), {})
    assert said in refusal(small(), {f"module.{name}": value for name, value in state_of().items()})


def test_a_prefix_says_where_in_the_file_the_network_is_and_the_rest_is_left() -> None:
    spec = small()
    source = randomised(ResNet((2, 1), BASIC, width=8))
    state = {f"backbone.{name}": value for name, value in source.state_dict().items() if not name.startswith("fc")}
    model = build_model(spec).eval()
    found = fill(spec, model, {**state, "classifier.4.bias": torch.zeros(3)}, "torchvision", "backbone.")
    assert (found.head, found.left) == ([], ["classifier.4.bias"])
    the_same(spec, model, source, 64)


def test_layers_after_the_last_that_is_named_begin_anew() -> None:
    spec = small(rest="  last = conv2d(4, 3)\n")
    state = state_of((2, 2))
    model = build_model(spec)
    found = fill(spec, model, state, "torchvision", until="enc1")
    assert (found.layers, found.anew) == (["stem", "enc1"], ["enc2", "last"])
    assert found.left[:2] == ["layer2.0.conv1", "layer2.0.bn1"]


def test_layers_before_the_first_that_is_named_begin_anew_and_the_rest_is_what_it_was() -> None:
    """Whatever their sizes, as those of a network that sees other images."""
    spec = small(rest="  last = conv2d(4, 3)\n")
    state = state_of((2, 2))
    whole, begun, later = build_model(spec), build_model(spec), build_model(spec)
    fill(spec, whole, state, "torchvision", until="enc2")
    wanted, drawn = whole.state_dict(), begun.state_dict()
    state["conv1.weight"] = torch.zeros(64, 5, 7, 7)
    found = fill(spec, later, state, "torchvision", since="enc1", until="enc2")
    assert (found.layers, found.anew) == (["enc1", "enc2"], ["stem", "last"])
    assert found.left[:2] == ["conv1", "bn1"]
    for name, value in later.state_dict().items():
        assert torch.equal(value, (drawn if name.startswith("stem") else wanted)[name]), name


def test_a_range_of_which_the_file_has_nothing_is_refused() -> None:
    spec = small(rest="  pool = max_pool2d(2)\n  last = conv2d(4, 3)\n")
    state = state_of((2, 1))
    said = "the file ends before `last`, with what is in `stem`, `enc1`, `enc2`"
    assert refusal(spec, state, since="last") == said
    assert refusal(spec, state_of((2, 2)), since="pool", until="pool") == "no layer of `pool..pool` has weights"
    text = SMALL.format(file="resnet18", block="basic_block", rest="", more="")
    spec = loads(text.replace("resnet_stem(8)", "conv2d(8, 7, stride=2) | relu | conv2d(8, 3)"))
    assert refusal(spec, state, since="enc1") == "`stem.conv2` (conv2d) comes where the file has `bn1` (batch_norm)"


def test_a_layer_of_alternatives_is_not_filled() -> None:
    spec = small(rest="  mix  = parallel(small=conv2d(16, 3), skip=identity)\n")
    assert refusal(spec, state_of((2, 2))) == "`mix` is a layer of alternatives, and the file has one for all"
    found = fill(spec, build_model(spec), state_of((2, 1)), "torchvision")
    assert found.anew == ["mix"]
