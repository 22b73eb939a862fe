"""`weights = start("file", map=...)`: vision transformers compute what those of other libraries do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mtsldsl import build_model
from mtsldsl.editing import load, loads
from mtsldsl.ir import Spec
from mtsldsl.runtime.network.pretrained.filling import fill
from tests.runtime.pretrained.plain_networks import TimmVit, TorchvisionVit, randomised
from tests.runtime.pretrained.test_residual_networks import LIBRARY, filled, refusal, run_layers, the_same

SMALL = """\
mtl 1

import "mtsldsl/vit_base.mtl"

data arrays {{
  path  = "x.npz"
  input = image(3, 16, 16)
}}

task a {{
  target = classes(3)
  head   = {head} | linear(3)
}}

backbone {{
  embed = {embed}
  enc1  = vit_block(24, heads=3, eps={eps}) * 2
  enc2  = vit_block(24, heads=3, eps={eps})
{last}}}

train {{
  epochs = 1
}}
"""
WITH_TOKEN, NORM = "patch_embed(24, 4) | class_token", "  norm  = layer_norm(eps={eps})\n"


def small(eps: str = "1e-6") -> Spec:
    return loads(SMALL.format(head="first_token", embed=WITH_TOKEN, eps=eps, last=NORM.format(eps=eps)))


@pytest.mark.parametrize(
    ("library", "source", "head"),
    [("timm", TimmVit, "head"), ("torchvision", TorchvisionVit, "heads.head")],
)
def test_a_transformer_with_a_class_token_computes_what_its_source_does(
    library: str, source: type[TimmVit | TorchvisionVit], head: str
) -> None:
    made = randomised(source(24, 3, 3))
    model, found = filled(small(), made, library)
    assert (found.layers, found.anew, found.left) == (["embed", "enc1", "enc2", "norm"], [], [])
    assert found.head == [f"{head}.bias", f"{head}.weight"]
    the_same(small(), model, made, 16)


def test_so_does_one_of_patches_alone_which_is_vit_tiny() -> None:
    spec = loads(SMALL.format(head="mean_tokens", embed="patch_embed(24, 4)", eps="1e-6", last=""))
    made = randomised(TimmVit(24, 3, 3, token=False))
    model, found = filled(spec, made, "timm")
    assert (found.layers, found.anew, found.left) == (["embed", "enc1", "enc2"], [], [])
    assert found.head == ["fc_norm.bias", "fc_norm.weight", "head.bias", "head.weight"]
    the_same(spec, model, made, 16)


def test_the_library_has_these_networks_layer_by_layer() -> None:
    """With their names and sizes; what the small ones compute is compared above."""
    for name, token, norm in (("vit_tiny", False, []), ("vit_base", True, ["norm"])):
        spec = load(LIBRARY / f"{name}.mtl", {"width": 24, "heads": 3, "labels": 5} if token else {"labels": 5})
        source = TimmVit(24 if token else 192, 3, 12, token=token)
        state: dict[str, Tensor] = dict(randomised(source).state_dict())
        channels = source.pos_embed.shape[-1]
        state["patch_embed.proj.weight"] = torch.rand(channels, 3, 16, 16)
        state["pos_embed"] = torch.rand(1, 196 + token, channels)
        model = build_model(spec)
        found = fill(spec, model, state, "timm")
        assert (found.layers, found.anew) == (["embed", "enc1", "enc2", "enc3", "enc4", *norm], [])
        (embed,) = model.get_submodule("embed").children()
        assert torch.equal(embed.get_parameter("patches1.position"), state["pos_embed"][:, int(token) :])


def saved_by_transformers(name: str) -> str:
    """What a file that `save_pretrained` wrote calls a tensor of timm's, but for queries, keys and values."""
    name = re.sub(r"^blocks\.", "vit.encoder.layer.", name)
    name = name.replace(".norm1.", ".layernorm_before.").replace(".norm2.", ".layernorm_after.")
    name = name.replace(".mlp.fc1.", ".intermediate.dense.").replace(".mlp.fc2.", ".output.dense.")
    name = name.replace(".attn.proj.", ".attention.output.dense.")
    name = re.sub(r"^norm\.", "vit.layernorm.", name)
    name = name.replace("patch_embed.proj.", "vit.embeddings.patch_embeddings.projection.")
    name = name.replace("cls_token", "vit.embeddings.cls_token").replace(
        "pos_embed", "vit.embeddings.position_embeddings"
    )
    return name.replace("head.", "classifier.")


def of_transformers(state: dict[str, Tensor]) -> dict[str, Tensor]:
    found = {}
    for name, value in state.items():
        if ".qkv." in name:
            block, _, end = name.partition(".attn.qkv.")
            for which, part in zip(("query", "key", "value"), value.chunk(3), strict=True):
                found[f"vit.encoder.layer.{block.split('.')[1]}.attention.attention.{which}.{end}"] = part
        else:
            found[saved_by_transformers(name)] = value
    return found


def test_a_file_of_transformers_has_queries_keys_and_values_apart() -> None:
    spec, made = small("1e-12"), randomised(TimmVit(24, 3, 3, eps=1e-12))
    state = of_transformers(made.state_dict())
    assert "vit.encoder.layer.2.attention.attention.key.weight" in state
    model = build_model(spec).eval()
    found = fill(spec, model, state, "transformers")
    assert (found.anew, found.left) == ([], [])
    assert found.head == ["classifier.bias", "classifier.weight"]
    the_same(spec, model, made, 16)


@pytest.mark.soak  # importing it takes seconds
@pytest.mark.parametrize("written", [True, False])
def test_a_transformer_computes_what_transformers_does_from_its_file_and_from_its_memory(
    tmp_path: Path, *, written: bool
) -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is no dependency: pip install transformers")
    from safetensors.torch import load_file

    sizes = {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 3, "intermediate_size": 96}
    whole = randomised(
        transformers.ViTForImageClassification(transformers.ViTConfig(**sizes, image_size=16, patch_size=4))
    )
    whole.save_pretrained(tmp_path)
    state = load_file(tmp_path / "model.safetensors") if written else whole.state_dict()
    spec = small("1e-12")
    model = build_model(spec).eval()
    found = fill(spec, model, state, "transformers")
    assert (found.anew, found.left, found.head) == ([], [], ["classifier.bias", "classifier.weight"])
    the_same(spec, model, Last(whole.vit), 16)


class Last(nn.Module):
    """The tokens that a transformer of transformers ends with."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        tokens: Tensor = self.network(image).last_hidden_state
        return tokens


def test_what_would_compute_something_else_is_refused() -> None:
    state = dict(randomised(TimmVit(24, 3, 3)).state_dict())
    without = loads(SMALL.format(head="mean_tokens", embed="patch_embed(24, 4)", eps="1e-6", last=""))
    said = "`enc1.norm1` (layer_norm) comes where the file has `cls_token` (class_token)"
    assert refusal(without, state, library="timm") == said
    scaled = {**state, "blocks.0.ls1.gamma": torch.ones(24)}
    assert "`blocks.0.ls1.gamma`, which a ViT of timm has not" in refusal(small(), scaled, library="timm")
    larger = dict(randomised(TimmVit(24, 3, 3, size=24)).state_dict())
    said = "`patch_embed.proj` in the file has a position of (1, 36, 24), and `embed.patches1` (patch_embed) one of (1, 16, 24)"
    assert refusal(small(), larger, library="timm") == said
    odd = {**state, "cls_token": torch.zeros(24, 2, 2)}
    assert refusal(small(), odd, library="timm").startswith("`cls_token`, `pos_embed` in the file, of the shapes")


def test_the_token_is_that_of_the_file_with_the_embedding_of_its_place() -> None:
    made = randomised(TimmVit(24, 3, 3))
    model, _ = filled(small(), made, "timm")
    tokens = run_layers(small(), model, torch.rand(2, 3, 16, 16), ["embed"])
    assert made.cls_token is not None
    assert torch.allclose(tokens[:, 0], (made.cls_token + made.pos_embed[:, :1])[0].detach().expand(2, -1))
