"""What the field writes that is said here in another way: the remedy for a name, by the place where it is given."""

from __future__ import annotations

from mtsldsl.diagnostics.elsewhere import folded

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
            "teach teacher teachers": "the network of a run that has ended teaches: name it in `train`, as in "
            '`teachers = "runs/each/1"`, and say there how much it counts, `teach = 1.0`',
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

REMEDIES = {
    (place, folded(name)): remedy
    for place, remedies in _REMEDIES
    for names, remedy in remedies.items()
    for name in names.split()
}
"""What to write for a name without its underscores, by the place where it is given."""


def written_here(name: str, place: str) -> str | None:
    """The remedy for a name that is given in `place` and means something that is said otherwise, None where there is
    none."""
    return REMEDIES.get((place, folded(name)))
