"""Names that the field or an earlier version has for what the language calls otherwise.

A name that a later version of the language gives up gets a line here: who still writes it is told the new one, and
`check --fix` puts it in place.
"""

from __future__ import annotations

from collections.abc import Iterable

_OTHER_NAMES = {
    # blocks
    "backbone": "layers network model encoder trunk",
    "data": "dataset datasets",
    "train": "training trainer",
    # keys
    "augment": "augmentation augmentations transform transforms",
    "batch": "batch_size",
    "dampening": "damping",
    "epochs": "num_epochs max_epochs n_epochs total_epochs",
    "ignore": "ignore_index ignore_label void_label",
    "images": "num_images",
    "input": "input_shape input_size",
    "loss": "criterion loss_fn loss_function",
    "lr": "learning_rate",
    "optimizer": "optim",
    "root": "data_dir data_root data_path dataset_path",
    "scheduler": "lr_scheduler lr_schedule",
    "seed": "random_seed random_state",
    "weight": "loss_weight task_weight",
    "weight_decay": "l2_penalty",
    # arguments and operators
    "adaptive_avg_pool2d": "adaptive_avgpool",
    "attention": "multihead_attention self_attention mhsa",
    "avg_pool2d": "avgpool average_pool average_pooling2d",
    "batch_norm": "bn batch_norm2d batch_normalization",
    "channels": "num_classes n_classes",
    "concat": "cat concatenate",
    "conv2d": "conv convolution",
    "embed_dim": "embedding_dim hidden_size",
    "kernel_size": "kernel ksize filter_size",
    "linear": "dense fc fully_connected",
    "max_pool2d": "maxpool max_pool max_pooling2d",
    "num_heads": "heads n_heads",
    "out_channels": "channels filters",
    "out_features": "units features",
    "resize": "interpolate",
    "scale_factor": "scale",
    "silu": "swish",
    # losses and metrics
    "abs_rel": "absrel absolute_relative_error",
    "accuracy": "acc",
    "bce": "bce_with_logits binary_cross_entropy",
    "cosine": "cosine_similarity cosine_annealing cosine_annealing_lr",
    "cross_entropy": "ce",
    "f1": "f1_score fscore",
    "l1": "mae mean_absolute_error",
    "mae": "l1 mean_absolute_error",
    "mean_angle": "mean_angular_error mean_angle_error angular_error",
    "median_angle": "median_angular_error",
    "miou": "mean_iou iou jaccard jaccard_index",
    "mse": "l2 mean_squared_error",
    "pixel_accuracy": "pixel_acc pix_acc",
    "r2": "r2_score",
    "rmse": "root_mean_squared_error",
    # other choices
    "bf16": "bfloat16 bf16_mixed",
    "equal": "equal_weighting ew",
    "exponential": "exponential_lr",
    "fp32": "float32",
    "multistep": "multistep_lr",
    "step": "step_lr",
}

MEANT: dict[str, list[str]] = {}
"""The names here for each name elsewhere, without its underscores."""
for _ours, _others in _OTHER_NAMES.items():
    for _other in _others.split():
        MEANT.setdefault(_other.replace("_", ""), []).append(_ours)


def called_here(name: str, known: Iterable[str]) -> str | None:
    """The one of the known names that means what `name` means elsewhere, None where none or several do."""
    meant = MEANT.get(name.lower().replace("_", ""), ())
    found = [each for each in known if each in meant]
    return found[0] if len(found) == 1 else None
