"""Names that the field or an earlier version has: for what the language calls otherwise, and for other things.

A name that a later version of the language gives up gets a line here: who still writes it is told the new one, and
`check --fix` puts it in place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

_OTHER_NAMES = {
    # blocks
    "backbone": "layers network model encoder trunk",
    "data": "dataset datasets",
    "train": "training trainer",
    # keys
    "accumulate": "accumulate_grad_batches gradient_accumulation gradient_accumulation_steps accumulation_steps",
    "align": "alignment alignment_weight align_weight",
    "augment": "augmentation augmentations transform transforms data_augmentation",
    "balance": "weighting weighting_method loss_weighting loss_balancing",
    "batch": "batch_size train_batch_size",
    "clip": "clip_grad clip_grad_norm clip_norm grad_clip gradient_clip gradient_clip_val max_grad_norm",
    "dampening": "damping",
    "epochs": "num_epochs max_epochs n_epochs total_epochs",
    "ignore": "ignore_index ignore_label void_label",
    "images": "num_images",
    "input": "input_shape input_size",
    "loss": "criterion loss_fn loss_function",
    "lr": "learning_rate",
    "metrics": "eval_metrics",
    "optimizer": "optim",
    "path": "file filename file_name data_path data_file",
    "root": "data_dir data_root data_path dataset_path",
    "rotate": "rotation rotation_angle",
    "scheduler": "lr_scheduler lr_schedule",
    "seed": "random_seed random_state",
    "similarity": "similarity_metric similarity_measure",
    "teach": "distillation_weight kd_weight",
    "teachers": "teacher teacher_path teacher_model",
    "test": "test_split test_size",
    "threshold": "similarity_threshold",
    "validation": "val validation_split val_split valid_split validation_size val_size",
    "ema": "ema_decay model_ema use_ema weight_averaging",
    "warmup": "warm_up warmup_steps num_warmup_steps",
    "weight": "loss_weight task_weight",
    "weight_decay": "l2_penalty",
    # arguments and operators
    "adaptive_avg_pool2d": "adaptive_avgpool",
    "affine": "elementwise_affine",
    "attention": "multihead_attention self_attention mhsa",
    "avg_pool2d": "avgpool average_pool average_pooling2d",
    "batch_norm": "bn batch_norm2d batch_normalization",
    "bias": "use_bias",
    "c": "calpha",
    "channels": "num_classes n_classes",
    "concat": "cat concatenate",
    "conv2d": "conv convolution",
    "conv_transpose2d": "conv_transpose conv2d_transpose deconv deconv2d deconvolution transposed_conv "
    "transposed_conv2d",
    "debiased": "unbiased",
    "depthwise": "depthwise_conv depthwise_conv2d",
    "dilation": "dilation_rate",
    "hidden_size": "units hidden_dim hidden_units",
    "dropout": "attn_dropout attention_dropout dropout_p dropout_rate drop_rate",
    "elementwise_affine": "affine",
    "embed_dim": "embedding_dim hidden_size",
    "eps": "epsilon",
    "eta_min": "min_lr",
    "gamma": "factor",
    "groups": "num_groups",
    "kernel_size": "kernel ksize filter_size",
    "label_smoothing": "smoothing",
    "layer_norm": "ln",
    "linear": "dense fc fully_connected",
    "max_pool2d": "maxpool max_pool max_pooling2d",
    "mixture": "moe mixture_of_experts",
    "negative_slope": "alpha slope",
    "num_groups": "groups",
    "num_heads": "heads n_heads",
    "out_channels": "channels filters",
    "out_features": "units features",
    "p": "rate drop_rate dropout_rate prob probability",
    "padding": "pad",
    "resize": "interpolate",
    "samples": "n_samples num_samples sample_size",
    "scale_factor": "scale",
    "silu": "swish",
    "stride": "strides",
    "temperature": "t",
    "upsample": "upsampling upsampling2d",
    # losses and metrics
    "abs_rel": "absrel absolute_relative_error",
    "accuracy": "acc",
    "bce": "bce_with_logits binary_cross_entropy bce_loss bce_with_logits_loss",
    "class_balanced": "class_balanced_loss cb_loss",
    "cosine": "cosine_similarity cosine_annealing cosine_annealing_lr",
    "one_cycle": "onecycle one_cycle_lr",
    "cross_entropy": "ce cross_entropy_loss softmax_cross_entropy categorical_crossentropy "
    "sparse_categorical_crossentropy",
    "error": "error_rate",
    "f1": "f1_score fscore",
    "l1": "mae mean_absolute_error l1_loss",
    "mae": "l1 mean_absolute_error abs_err abs_error absolute_error",
    "mean_angle": "mean_angular_error mean_angle_error angular_error",
    "median_angle": "median_angular_error",
    "miou": "mean_iou iou jaccard jaccard_index",
    "mse": "l2 mean_squared_error mse_loss l2_loss",
    "pixel_accuracy": "pixel_acc pix_acc",
    "r2": "r2_score",
    "rmse": "root_mean_squared_error",
    # other choices
    "amalgamate": "amalgamation",
    "average": "mean averaging",
    "bf16": "bfloat16 bf16_mixed",
    "binary": "boolean bool multilabel multi_label binary_class",
    "classes": "class categorical category classification multiclass",
    "dwa": "dynamic_weight_average dynamic_weight_averaging",
    "equal": "equal_weighting ew",
    "exponential": "exponential_lr",
    "fp16": "float16 half fp16_mixed",
    "fp32": "float32",
    "hflip": "horizontal_flip random_horizontal_flip",
    "multistep": "multistep_lr",
    "reconstruct": "reconstruction autoencoder",
    "step": "step_lr",
    "uncertainty": "uw uncertainty_weighting uncertainty_weights",
    "unit_vectors": "unit_vector surface_normals",
    "values": "regression continuous numerical real",
}

_OTHER_THINGS = {
    # keys
    "batch": "batches",
    "field": "fields",
    "head": "nhead",
    "images": "image",
    "validation": "evaluation",
    "weight": "weights weighting",
    # arguments
    "optim_niter": "optimizer",
    "beta": "betas beta1 beta2 beta_1 beta_2",
    "betas": "beta etas beta1 beta2 beta_1 beta_2",
    "channels": "in_channels num_channels out_channels",
    "height": "weight weights",
    "mode": "module",
    "out_channels": "num_channels in_channels",
    "out_features": "num_features in_features",
    "positive_weight": "pos_weight",
    "scale_factor": "upscale_factor downscale_factor",
    # operators
    "adaptive_avg_pool2d": "adaptive_avg_pool1d adaptive_avg_pool3d "
    "adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d",
    "avg_pool1d": "avg_pool2d avg_pool3d",
    "avg_pool2d": "avg_pool1d avg_pool3d",
    "batch_norm": "batch_norm1d batch_norm3d",
    "conv1d": "conv2d conv3d",
    "conv2d": "conv1d conv3d",
    "conv_transpose2d": "conv_transpose1d conv_transpose3d lazy_conv_transpose1d lazy_conv_transpose3d",
    "dropout": "dropout1d dropout2d dropout3d",
    "embedding": "embedding_bag",
    "flatten": "unflatten",
    "gelu": "celu elu selu glu geglu reglu",
    "gru": "glu",
    "linear": "bilinear",
    "max_pool1d": "max_pool2d max_pool3d max_unpool1d max_unpool2d max_unpool3d",
    "max_pool2d": "max_pool1d max_pool3d max_unpool1d max_unpool2d max_unpool3d",
    "relu": "celu elu selu prelu rrelu relu6",
    "resize_as": "resize_to",
    "sigmoid": "logsigmoid log_sigmoid",
    "silu": "celu elu selu swiglu",
    # losses and metrics
    "delta1": "delta delta2 delta3",
    "mae": "map mape medae mse",
    "mse": "msle rmsle",
    "mean_angle": "rmse_angle",
    "rmse": "mse msle nrmse rmsle",
    "within": "within11 within22 within30",
    # other choices
    "adam": "adamax adamp nadam",
    "adamw": "adamp nadam",
    "cka": "cca kcka",
    "hflip": "flip vflip",
    "radam": "adamp nadam",
    "sgd": "asgd sgdw sgdm",
}
"""Names that look like one of the language, misspelt, and mean another thing in the field."""

_OPPOSED = (
    "micro macro weighted samples",
    "max mean median min sum avg",
    "first last least most best worst",
    "in out",
    "up down",
    "top bottom",
    "left right",
    "train test validation",
)
"""Words of which each says another thing: names that differ in one of them are no misspelling of each other."""

_DENIED = ("un", "in", "non", "de", "dis", "anti", "bi", "ir", "im", "mis")
"""How a word begins that denies the rest of it."""


def folded(name: str) -> str:
    """The name as it is compared: in small letters, without underscores."""
    return name.lower().replace("_", "")


def _by_name(table: Mapping[str, str]) -> dict[str, list[str]]:
    """The names here for each name elsewhere, which has no underscores."""
    found: dict[str, list[str]] = {}
    for ours, others in table.items():
        for other in others.split():
            found.setdefault(folded(other), []).append(ours)
    return found


MEANT = _by_name(_OTHER_NAMES)
"""The names here for each name elsewhere, without its underscores."""

NOT_MEANT = _by_name(_OTHER_THINGS)
"""The names here which a name elsewhere, without its underscores, is alike and never means."""


def called_here(name: str, known: Iterable[str]) -> str | None:
    """The one of the known names that means what `name` means elsewhere, None where none or several do."""
    meant = MEANT.get(folded(name), ())
    found = [each for each in known if each in meant] if meant else []
    return found[0] if len(found) == 1 else None


def means_another_thing(name: str, known: str) -> bool:
    """Whether `name` is no known name misspelt though it is alike: the field has it for another thing, or it is the
    known name with further words, as `class_weight` is to `weight`."""
    words, further = _words(known), _words(name)
    longer = len(further) > len(words) and set(words) <= set(further)
    return known in NOT_MEANT.get(folded(name), ()) or longer or _opposed(further, words)


def _opposed(one: list[str], other: list[str]) -> bool:
    """Whether two names differ in one word alone, which says the opposite, or another thing of its kind."""
    differ = [pair for pair in zip(one, other, strict=False) if pair[0] != pair[1]]
    if len(one) != len(other) or len(differ) != 1:
        return False
    first, second = differ[0]
    short, long = sorted((first, second), key=len)
    denied = any(long == start + short for start in _DENIED) and len(short) >= _DENIABLE
    return denied or any({first, second} <= set(group.split()) for group in _OPPOSED)


_DENIABLE = 4
"""Letters of a word that may be denied."""


def _words(name: str) -> list[str]:
    return [word for word in name.lower().split("_") if word]
