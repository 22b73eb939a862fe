"""timm's names: `timm.models.resnet`, `vgg` and `vision_transformer`. ResNets have those of torchvision."""

from __future__ import annotations

import attrs

from mtsldsl.runtime.network.pretrained.source_parts import (
    Network,
    attention,
    class_token,
    layer_norm,
    linear,
    patch_embed,
)
from mtsldsl.runtime.network.pretrained.torchvision_names import RESNET
from mtsldsl.runtime.network.pretrained.torchvision_names import VGG as TORCHVISION_VGG

VGG = attrs.evolve(TORCHVISION_VGG, head=("pre_logits", "head"))

VIT = Network(
    "ViT",
    sign=("cls_token", "patch_embed.proj.weight"),
    first=(patch_embed("patch_embed.proj", "pos_embed"), class_token("cls_token", "pos_embed")),
    blocks="blocks.#.",
    parts=(
        layer_norm("norm1"),
        attention(("attn.qkv",), "attn.proj"),
        layer_norm("norm2"),
        linear("mlp.fc1"),
        linear("mlp.fc2"),
    ),
    last=(layer_norm("norm"),),
    head=("fc_norm", "head"),
)

VIT_OF_PATCHES = attrs.evolve(
    VIT,
    name="ViT without class token",
    sign=("patch_embed.proj.weight",),
    first=(patch_embed("patch_embed.proj", "pos_embed", class_token=False),),
)

NETWORKS = (RESNET, VGG, VIT, VIT_OF_PATCHES)
