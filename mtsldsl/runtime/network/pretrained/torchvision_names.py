"""torchvision's names: `torchvision.models.resnet`, `vgg` and `vision_transformer`."""

from __future__ import annotations

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
    sign=("conv1.weight", "layer1.0.conv1.weight"),
    first=(conv2d("conv1"), batch_norm("bn1")),
    blocks="layer#.#.",
    parts=(
        conv2d("conv1"),
        batch_norm("bn1"),
        conv2d("conv2"),
        batch_norm("bn2"),
        conv2d("conv3"),
        batch_norm("bn3"),
        conv2d("downsample.0"),
        batch_norm("downsample.1"),
    ),
    head=("fc",),
)

VGG = Network(
    "VGG with batch normalisation",
    sign=("features.0.weight", "features.1.running_mean"),
    first=(),
    blocks="features.#.",
    parts=(conv2d(), batch_norm()),
    head=("classifier",),
)

VIT = Network(
    "ViT",
    sign=("class_token", "conv_proj.weight"),
    first=(
        patch_embed("conv_proj", "encoder.pos_embedding"),
        class_token("class_token", "encoder.pos_embedding"),
    ),
    blocks="encoder.layers.encoder_layer_#.",
    parts=(
        layer_norm("ln_1"),
        attention(("self_attention.in_proj_",), "self_attention.out_proj"),
        layer_norm("ln_2"),
        linear("mlp.0"),
        linear("mlp.3"),
    ),
    last=(layer_norm("encoder.ln"),),
    head=("heads",),
)

NETWORKS = (RESNET, VGG, VIT)
