"""The names of transformers: `ResNetModel`, `ViTModel`, and what has one of them in it, `...ForImageClassification`.

A ViT has other names in the files that `save_pretrained` writes than in its `state_dict()` since version 5.
"""

from __future__ import annotations

import attrs

from mtsldsl.runtime.network.pretrained.source_parts import (
    Network,
    attention,
    batch_norm,
    class_token,
    conv2d,
    layer_norm,
    linear,
    patch_embed,
)

RESNET = Network(
    "ResNet",
    sign=("embedder.embedder.convolution.weight", "encoder.stages.0.layers.0.layer.0.convolution.weight"),
    first=(conv2d("embedder.embedder.convolution"), batch_norm("embedder.embedder.normalization")),
    blocks="encoder.stages.#.layers.#.",
    parts=tuple(
        part
        for place in ("layer.0", "layer.1", "layer.2", "shortcut")
        for part in (conv2d(f"{place}.convolution"), batch_norm(f"{place}.normalization"))
    ),
    head=("classifier",),
    prefixes=("", "resnet."),
)

VIT = Network(
    "ViT",
    sign=("embeddings.cls_token", "embeddings.patch_embeddings.projection.weight", "layernorm.weight"),
    first=(
        patch_embed("embeddings.patch_embeddings.projection", "embeddings.position_embeddings"),
        class_token("embeddings.cls_token", "embeddings.position_embeddings"),
    ),
    blocks="encoder.layer.#.",
    parts=(
        layer_norm("layernorm_before"),
        attention(tuple(f"attention.attention.{name}" for name in ("query", "key", "value")), "attention.output.dense"),
        layer_norm("layernorm_after"),
        linear("intermediate.dense"),
        linear("output.dense"),
    ),
    last=(layer_norm("layernorm"),),
    head=("classifier", "pooler"),
    prefixes=("", "vit."),
)

VIT_IN_MEMORY = attrs.evolve(
    VIT,
    sign=(*VIT.sign, "layers.0.attention.q_proj.weight"),
    blocks="layers.#.",
    parts=(
        layer_norm("layernorm_before"),
        attention(tuple(f"attention.{name}_proj" for name in "qkv"), "attention.o_proj"),
        layer_norm("layernorm_after"),
        linear("mlp.fc1"),
        linear("mlp.fc2"),
    ),
)

NETWORKS = (RESNET, VIT_IN_MEMORY, VIT)
