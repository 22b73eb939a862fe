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

_REMEDIES = (
    (
        "blocks",
        {
            "optimizer scheduler balance seed epochs": "it is a key of `train`",
            "head loss metrics target": "it is a key of each `task`",
            "augment batch input": "it is a key of `data`",
        },
    ),
    (
        "data",
        {
            "image image_size size": "`input` says the size of a sample, such as `input = image(3, 64, 64)`",
            "labels label_names targets outputs": "each `task` says which field of the data it learns, by `field`",
            "test_data test_path train_data train_path val_data val_path validation_data validation_path": "name the "
            "arrays of one file `train/...`, `validation/...` and `test/...`",
            "train_size train_split": "training has what `validation` and `test` leave over",
        },
    ),
    (
        "task",
        {
            "class_weight class_weights": "it is an argument: `loss = cross_entropy(weight=[...])`; "
            "`loss = class_balanced` weighs classes by how rare they are",
            "pos_weight positive_weight": "the weight of a yes is `loss = balanced_bce(positive_weight=...)`, "
            "from 0 to 1; `weight` would be the factor of the whole loss",
            "weights weighting loss_weights task_weights": "`weight` is one number, the factor of this task's loss; "
            "`balance` in `train` weighs the tasks by itself",
            "sample_weight sample_weights": "samples have no weights here; `weight` is the factor of the whole loss",
            "label_smoothing smoothing": "it is an argument: `loss = cross_entropy(label_smoothing=...)`",
            "ignore ignore_index ignore_label": "it is an argument: `target = classes(..., ignore=...)`",
            "channels classes n_classes num_classes num_labels": "it is an argument: `target = classes(...)`",
            "threshold thresholds": "it is an argument: `metrics = [f1(threshold=...)]`",
            "activation dropout dropout_rate": "it is an operator of the pipeline `head`",
            "lr learning_rate weight_decay": "all tasks have one optimizer: `optimizer = adam(lr=..., "
            "weight_decay=...)` in `train`",
            "early_stopping early_stop early_stopping_patience patience": "write `stop = patience(...)`, with the "
            "epochs without a better one of the task",
            "epochs optimizer balance": "it is a key of `train`",
        },
    ),
    (
        "train",
        {
            "lr learning_rate weight_decay betas eps": "it is an argument of the optimizer: `optimizer = adam(lr=..., "
            "weight_decay=...)`",
            "momentum nesterov dampening": "it is an argument of the optimizer: `optimizer = sgd(momentum=...)`",
            "early_stopping early_stop early_stopping_patience patience": "write `stop = patience(...)`, with the "
            "epochs without a better one",
            "warmup_epochs": "write `warmup`, in steps and not in epochs",
            "gamma milestones step_size lr_decay": "it is an argument of the scheduler: `scheduler = step(step_size="
            "..., gamma=...)`",
            "pct_start max_lr div_factor final_div_factor": "it is an argument of the scheduler: "
            "`scheduler = one_cycle(pct_start=...)`, whose highest rate is the optimizer's `lr`",
            "t_max eta_min min_lr": "it is an argument of the scheduler: `scheduler = cosine(eta_min=...)`",
            "amp fp16 half mixed_precision": "half the bits are `precision = bf16`, or `fp16`",
            "accelerator device devices gpu gpus": "the device is chosen for each run: `mtsldsl train --device`",
            "batch batch_size train_batch_size augment shuffle num_workers": "what is done to samples is said in "
            "`data`, such as `batch = 16`; they are always shuffled for training",
            "validation validation_split val_split validation_data test_size": "the parts of the samples are "
            "`validation` and `test` in `data`",
            "class_weight class_weights": "they belong to a `task`: `loss = cross_entropy(weight=[...])`, or "
            "`loss = class_balanced`, which weighs classes by how rare they are",
            "sample_weight sample_weights": "samples have no weights here",
            "weight weights loss_weight loss_weights task_weights": "each `task` has a `weight`; `balance` weighs them "
            "by itself",
            "loss criterion loss_fn metric metrics": "each `task` has its own",
            "align phases similarity threshold transfer": "it is a key of `structure mtsl`",
            "sharing structure": "it is a block of its own",
        },
    ),
    (
        "structure",
        {
            "samples kernel debiased": "it is an argument: `similarity = cka(samples=...)`",
            "transfer_epochs transfer_lr": "it is an argument: `transfer = amalgamate(epochs=..., lr=...)`",
        },
    ),
    (
        "cross_entropy",
        {
            "class_weight class_weights weights": "it is called `weight`: `cross_entropy(weight=[...])`; "
            "`loss = class_balanced` weighs classes by how rare they are",
            "ignore ignore_index ignore_label": "it belongs to the target: `target = classes(..., ignore=...)`",
        },
    ),
    (
        "class_balanced",
        {
            "class_weight class_weights weight weights": "the weights follow from how often each class occurs, "
            "by `beta`",
            "ignore ignore_index ignore_label": "it belongs to the target: `target = classes(..., ignore=...)`",
        },
    ),
    (
        "bce",
        {
            "pos_weight positive_weight": "write `balanced_bce(positive_weight=...)`, from 0 to 1: "
            "a `pos_weight` of p weighs a yes as p / (1 + p) does",
            "weight weights class_weight": "write `balanced_bce(positive_weight=...)`, from 0 to 1",
        },
    ),
    (
        "balanced_bce",
        {
            "pos_weight weight weights class_weight": "`positive_weight` is from 0 to 1: "
            "a `pos_weight` of p weighs a yes as p / (1 + p) does",
        },
    ),
    (
        "losses",
        {
            "weighted_cross_entropy balanced_cross_entropy balanced_ce weighted_ce": "of classes, `class_balanced` "
            "weighs the rare ones; of a yes or no, `balanced_bce(positive_weight=...)`",
            "weighted_bce bce_with_weight": "write `balanced_bce(positive_weight=...)`",
            "smooth_l1": "write `huber(delta=...)`, which is `delta` times as large",
            "scale_invariant scale_invariant_log eigen": "write `silog`",
            "focal_loss sigmoid_focal sigmoid_focal_loss": "write `focal`",
            "dice_loss soft_dice": "write `dice`",
        },
    ),
    (
        "metrics",
        {
            "within_30 within30": "write `within(degrees=30)`",
            "within_11 within11 within_1125": "write `within(degrees=11.25)`",
            "within_22 within22 within_225": "write `within(degrees=22.5)`",
        },
    ),
    (
        "operators",
        {
            "gap global_avg_pool global_avg_pool2d global_average_pool global_average_pooling2d": "write "
            "`adaptive_avg_pool2d(1)`",
            "log_softmax softmax": "leave it out: losses and metrics take the scores before it",
        },
    ),
    ("adam", {"beta1 beta2 beta_1 beta_2 beta": "write both in a list: `betas=[0.9, 0.999]`"}),
    ("adamw", {"beta1 beta2 beta_1 beta_2 beta": "write both in a list: `betas=[0.9, 0.999]`"}),
    ("radam", {"beta1 beta2 beta_1 beta_2 beta": "write both in a list: `betas=[0.9, 0.999]`"}),
    ("conv2d", {"in_channels": "leave it out: it is what comes in"}),
    ("conv1d", {"in_channels": "leave it out: it is what comes in"}),
    ("conv_transpose2d", {"in_channels": "leave it out: it is what comes in"}),
    ("depthwise", {"in_channels out_channels groups": "leave it out: it is the number of channels that come in"}),
    ("gru", {"input_size": "leave it out: it is what comes in"}),
    ("lstm", {"input_size": "leave it out: it is what comes in"}),
    ("linear", {"in_features": "leave it out: it is what comes in"}),
    ("batch_norm", {"num_features num_channels": "leave it out: it is what comes in"}),
    ("group_norm", {"num_channels": "leave it out: it is what comes in"}),
    ("layer_norm", {"normalized_shape": "leave it out: it is what comes in"}),
)
"""What to write for a name, by where it is given: a block, an operator or another function, or a choice of some."""


def _folded(name: str) -> str:
    return name.lower().replace("_", "")


def _by_name(table: Mapping[str, str]) -> dict[str, list[str]]:
    """The names here for each name elsewhere, which has no underscores."""
    found: dict[str, list[str]] = {}
    for ours, others in table.items():
        for other in others.split():
            found.setdefault(_folded(other), []).append(ours)
    return found


MEANT = _by_name(_OTHER_NAMES)
"""The names here for each name elsewhere, without its underscores."""

NOT_MEANT = _by_name(_OTHER_THINGS)
"""The names here which a name elsewhere, without its underscores, is alike and never means."""

REMEDIES = {
    (place, _folded(name)): remedy
    for place, remedies in _REMEDIES
    for names, remedy in remedies.items()
    for name in names.split()
}
"""What to write for a name without its underscores, by the place where it is given."""


def called_here(name: str, known: Iterable[str]) -> str | None:
    """The one of the known names that means what `name` means elsewhere, None where none or several do."""
    meant = MEANT.get(_folded(name), ())
    found = [each for each in known if each in meant] if meant else []
    return found[0] if len(found) == 1 else None


def means_another_thing(name: str, known: str) -> bool:
    """Whether `name` is no known name misspelt though it is alike: the field has it for another thing, or it is the
    known name with further words, as `class_weight` is to `weight`."""
    words, further = _words(known), _words(name)
    longer = len(further) > len(words) and set(words) <= set(further)
    return known in NOT_MEANT.get(_folded(name), ()) or longer or _opposed(further, words)


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


def written_here(name: str, place: str) -> str | None:
    """The remedy for a name that is given in `place` and means something that is said otherwise, None where there is
    none."""
    return REMEDIES.get((place, _folded(name)))
