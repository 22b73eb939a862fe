"""Names that people bring from other tools: what is proposed for one means the same, or nothing is."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator

import pytest
import torch
import torchmetrics
import torchmetrics.classification
import torchmetrics.functional
import torchmetrics.regression
import torchmetrics.segmentation
from torch import nn
from torch.nn import functional
from torch.optim import lr_scheduler

from mtsldsl.datasets.registry import DATASETS, data_kind
from mtsldsl.diagnostics import Source, proposal
from mtsldsl.diagnostics.elsewhere import MEANT, NOT_MEANT
from mtsldsl.diagnostics.names import Suggestion
from mtsldsl.diagnostics.said_otherwise import REMEDIES
from mtsldsl.editing.checking import check
from mtsldsl.editing.fixes import mend
from mtsldsl.language import schema
from mtsldsl.language.kinds import Call, Choice
from mtsldsl.language.operators import OPERATORS
from mtsldsl.language.schema import (
    AUGMENTATIONS,
    BALANCES,
    LOSSES,
    METRICS,
    OPTIMIZERS,
    SCHEDULERS,
    TARGET,
    TRAIN,
)
from mtsldsl.methods.mtsl.language import TRANSFERS
from mtsldsl.methods.registry import methods
from mtsldsl.methods.similarities import SIMILARITIES

BLOCKS = {
    **schema.BLOCKS,
    "data": tuple(data_kind(name).block for name in DATASETS),
    "structure": tuple(method.block for method in methods()),
}

CHOICES: dict[str, list[Call]] = {
    "optimizers": [OPTIMIZERS],
    "schedulers": [SCHEDULERS],
    "balances": [BALANCES],
    "augmentations": [AUGMENTATIONS],
    "similarities": [SIMILARITIES],
    "transfers": [TRANSFERS],
    "targets": [TARGET],
    "losses": list(LOSSES.values()),
    "metrics": list(METRICS.values()),
}

SPEC = """\
mtl 1

data scenes {
  input = image(3, 32, 32)
}

task segment {
  target  = classes(5)
  head    = conv2d(5, 1) | resize_as(image)
  loss    = cross_entropy
}

task edge {
  target  = binary(1)
  head    = conv2d(1, 1) | resize_as(image)
  loss    = bce
  metrics = [f1]
}

task depth {
  target  = values(1)
  head    = conv2d(1, 1) | resize_as(image)
  loss    = l1
  metrics = [mae]
}

backbone {
  stem = conv2d(8, 3, stride=2) | batch_norm | relu
  last = conv2d(8, 3) | dropout(0.1)
}

train {
  epochs    = 2
  optimizer = adam(lr=1e-3)
  scheduler = none
  balance   = equal
}

structure mtsl {
  phases = [1]
}
"""


def added(line: str, behind: str) -> str:
    return SPEC.replace(behind, f"{behind}\n  {line}", 1)


def written(new: str, old: str) -> str:
    assert old in SPEC
    return SPEC.replace(old, new, 1)


def reported(text: str) -> list[str]:
    return [each.remedy for each in check(Source("spec.mtl", text)).diagnostics]


TASK, EDGE, DATA, TRAINING, PHASES = "target  = classes(5)", "target  = binary(1)", "image(3, 32, 32)", "= 2", "[1]"


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        (added("class_weight = [1, 2]", TASK), "`loss = cross_entropy(weight=[...])`"),
        (added("class_weights = 3", TASK), "`loss = class_balanced`"),
        (added("pos_weight = 3", EDGE), "`loss = balanced_bce(positive_weight=...)`"),
        (added("sample_weight = 3", TASK), "samples have no weights here"),
        (added("weights = [1, 2]", TASK), "the factor of this task's loss"),
        (added("label_smoothing = 0.1", TASK), "`loss = cross_entropy(label_smoothing=...)`"),
        (added("ignore_index = 255", TASK), "`target = classes(..., ignore=...)`"),
        (added("num_classes = 5", TASK), "`target = classes(...)`"),
        (added("threshold = 0.5", EDGE), "`metrics = [f1(threshold=...)]`"),
        (added("dropout_rate = 0.5", TASK), "an operator of the pipeline `head`"),
        (added("weight_decay = 0.5", TASK), "in `train`"),
        (added("momentum = 0.9", TRAINING), "`optimizer = sgd(momentum=...)`"),
        (added("learning_rate = 0.1", TRAINING), "`optimizer = adam(lr=..., weight_decay=...)`"),
        (added("lr_decay = 0.1", TRAINING), "`scheduler = step(step_size=..., gamma=...)`"),
        (added("early_stopping = 3", TRAINING), "`stop = patience(...)`"),
        (added("warmup_epochs = 3", TRAINING), "in steps and not in epochs"),
        (added("eps = 0.1", TRAINING), "an argument of the optimizer"),
        (added("mixed_precision = true", TRAINING), "`precision = bf16`"),
        (added("batch_size = 8", TRAINING), "in `data`, such as `batch = 16`"),
        (added("shuffle = true", TRAINING), "they are always shuffled for training"),
        (added("task_weights = [1, 2]", TRAINING), "each `task` has a `weight`"),
        (added("device = cuda", TRAINING), "`mtsldsl train --device`"),
        (added("phases = [1]", TRAINING), "a key of `structure mtsl`"),
        (added("test_path = a", DATA), "`train/...`, `validation/...` and `test/...`"),
        (added("image = 64", DATA), "`input = image(3, 64, 64)`"),
        (added("transfer_lr = 0.1", PHASES), "`transfer = amalgamate(epochs=..., lr=...)`"),
        (added('teachers = "runs/each"', PHASES), "name it in `train`"),
        (written("cross_entropy(class_weights=2)", "cross_entropy"), "`cross_entropy(weight=[...])`"),
        (written("focal_loss", "cross_entropy"), "write `focal`"),
        (written("loss    = smooth_l1", "loss    = l1"), "write `huber(delta=...)`"),
        (written("cross_entropy(ignore_index=2)", "cross_entropy"), "`target = classes(..., ignore=...)`"),
        (written("bce(pos_weight=2)", "bce"), "a `pos_weight` of p weighs a yes as p / (1 + p) does"),
        (written("balanced_bce(pos_weight=2)", "bce"), "a `pos_weight` of p weighs a yes as p / (1 + p) does"),
        (written("adam(beta1=0.8)", "adam(lr=1e-3)"), "`betas=[0.9, 0.999]`"),
        (written("weighted_cross_entropy", "cross_entropy"), "`class_balanced` weighs the rare ones"),
        (written("global_average_pooling2d", "relu"), "`adaptive_avg_pool2d(1)`"),
        (written("softmax", "relu"), "losses and metrics take the scores before it"),
        (f"{SPEC}\noptimizer {{\n  lr = 1\n}}\n", "a key of `train`"),
        (written("conv2d(8, 3, in_channels=3", "conv2d(8, 3"), "it is what comes in"),
    ],
)
def test_a_name_that_is_written_otherwise_has_the_true_remedy_and_no_fix(text: str, remedy: str) -> None:
    first = reported(text)[0]
    assert remedy in first
    assert "did you mean" not in first
    assert mend(Source("spec.mtl", text)).report.source.text == text


@pytest.mark.parametrize(
    ("text", "listed"),
    [
        (f"{SPEC}\nmonitor {{\n  a = 1\n}}\n", "the known blocks are: data, task"),
        (added("compile = true", TRAINING), "the known keys are: epochs, optimizer"),
        (added("rotate = 3", DATA), "the known keys are: input, images"),
        (added("augment = [vflip]", DATA), "the known augmentations are: hflip, random_scale"),
        (written("nadam", "adam(lr=1e-3)"), "the known optimizers are: adam, adamw, sgd, radam"),
        (written("sgdw", "adam(lr=1e-3)"), "the known optimizers are: adam, adamw, sgd, radam"),
        (written("cosine_warmup", "none"), "the known schedulers are: none, multistep"),
        (written("gradnorm", "equal"), "the known balances are: equal, random"),
        (written("poly", "cross_entropy"), "the known losses are: cross_entropy, class_balanced"),
        (written("loss    = hinge", "loss    = l1"), "the known losses are:"),
        (written("mape", "[mae]".strip("[]")), "the known metrics are:"),
        (written("prelu", "relu"), "the known ones are:"),
        (written("elu", "relu"), "the known ones are:"),
        (written("dropout2d(0.1)", "dropout(0.1)"), "the known ones are:"),
        (written("sync_batch_norm", "batch_norm"), "the known ones are:"),
        (added("similarity = cca", PHASES), "the known similarities are: cka, rsa, gradient, transference"),
    ],
)
def test_for_a_name_that_means_what_is_not_here_the_known_ones_are_listed(text: str, listed: str) -> None:
    assert reported(text)[0].startswith(listed)
    assert mend(Source("spec.mtl", text)).report.source.text == text


def snake(name: str) -> str:
    """`BatchNorm2d` as `batch_norm2d`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def classes_of(*modules: object) -> set[str]:
    return {name for module in modules for name in dir(module) if inspect.isclass(getattr(module, name))}


def functions_of(*modules: object) -> set[str]:
    return {name for module in modules for name in dir(module) if inspect.isfunction(getattr(module, name))}


def parameters_of(*modules: object) -> Iterator[str]:
    for module in modules:
        for name in sorted(classes_of(module)):
            made = getattr(module, name)
            if "__init__" in vars(made):
                yield from inspect.signature(made.__init__).parameters


VOCABULARY = {
    "operators": classes_of(nn) | functions_of(functional),
    "optimizers": classes_of(torch.optim),
    "schedulers": classes_of(lr_scheduler),
    "losses": {name for name in classes_of(nn) if name.endswith("Loss")},
    "metrics": classes_of(torchmetrics, torchmetrics.classification, torchmetrics.regression)
    | classes_of(torchmetrics.segmentation)
    | functions_of(torchmetrics.functional),
}

SAME = {
    "BCELoss": {"bce"},
    "BCEWithLogitsLoss": {"bce"},
    "BatchNorm2d": {"batch_norm"},
    "CosineAnnealingLR": {"cosine"},
    "CosineSimilarity": {"cosine"},
    "CrossEntropyLoss": {"cross_entropy"},
    "ExponentialLR": {"exponential"},
    "F1Score": {"f1"},
    "JaccardIndex": {"miou"},
    "L1Loss": {"l1"},
    "MSELoss": {"mse"},
    "MeanAbsoluteError": {"mae", "l1"},
    "MeanIoU": {"miou"},
    "MeanSquaredError": {"mse"},
    "MultiStepLR": {"multistep"},
    "MultiheadAttention": {"attention"},
    "OneCycleLR": {"one_cycle"},
    "R2Score": {"r2"},
    "StepLR": {"step"},
    "cosine_similarity": {"cosine"},
    "f1_score": {"f1"},
    "interpolate": {"resize"},
    "jaccard_index": {"miou"},
    "mean_absolute_error": {"mae", "l1"},
    "mean_squared_error": {"mse"},
    "r2_score": {"r2"},
}
"""Names of torch and torchmetrics, and the one here for the same thing where it has other letters."""


def letters(name: str) -> str:
    return name.lower().replace("_", "")


@pytest.mark.parametrize("noun", VOCABULARY)
def test_no_name_of_torch_or_torchmetrics_is_taken_for_another_thing(noun: str) -> None:
    known = [[rule.name for rule in call.rules] for call in CHOICES.get(noun, [])] or [list(OPERATORS)]
    proposed = 0
    for name in sorted(VOCABULARY[noun]):
        for spelt in (name, snake(name)):
            for names in known:
                near = proposal(spelt, names)
                meant = set(re.findall(r"`([^`]+)`", near or ""))
                same = {each for each in names if letters(each) == letters(spelt)}
                assert meant <= same | SAME.get(name, set()), (spelt, near)
                proposed += bool(near)
    assert proposed


def test_no_argument_of_torch_is_taken_for_another_argument_or_key() -> None:
    same = {
        ("affine", "elementwise_affine"),
        ("alpha", "negative_slope"),
        ("batch_size", "batch"),
        ("elementwise_affine", "affine"),
        ("embed_dim", "embedding_dim"),
        ("embedding_dim", "embed_dim"),
        ("end_factor", "div_factor"),
        ("factor", "factory"),  # of data of one's own
        ("factor", "gamma"),
        ("groups", "group"),  # of a table: no operator has both
        ("groups", "num_groups"),
        ("hidden_size", "embed_dim"),
        ("ignore_index", "ignore"),
        ("init", "unit"),  # of a folder
        ("input_size", "input"),
        ("lambd", "lambda_"),
        ("min_lr", "eta_min"),
        ("n_classes", "channels"),
        ("num_classes", "channels"),
        ("num_groups", "groups"),
        ("schedulers", "scheduler"),
        ("size", "resize"),
        ("step_sizes", "step_size"),
    }
    places = [[key.name for key in schema.keys or ()] for schemas in BLOCKS.values() for schema in schemas]
    places += [[rule.name for rule in operator.rules] for operator in OPERATORS.values()]
    places += [[key.name for key in rule.keys] for calls in CHOICES.values() for call in calls for rule in call.rules]
    proposed = set()
    for name in sorted(set(parameters_of(nn, torch.optim, lr_scheduler))):
        for known in places:
            near = proposal(name, known) if name not in known else None
            if near is not None:
                proposed |= {
                    (name, meant) for meant in re.findall(r"`([^`]+)`", near) if letters(meant) != letters(name)
                }
    assert proposed
    assert proposed <= same


def words_of_the_language() -> set[str]:
    rules = [rule for calls in CHOICES.values() for call in calls for rule in call.rules]
    keys = {key.name for schemas in BLOCKS.values() for schema in schemas for key in schema.keys or ()}
    arguments = {key.name for rule in rules for key in rule.keys}
    operators = {rule.name for operator in OPERATORS.values() for rule in operator.rules}
    choices = {choice for key in TRAIN.keys or () if isinstance(key.kind, Choice) for choice in key.kind.names}
    return keys | {rule.name for rule in rules} | arguments | operators | set(OPERATORS) | choices | set(BLOCKS)


@pytest.mark.parametrize("table", [MEANT, NOT_MEANT], ids=["meant", "not meant"])
def test_every_name_that_the_tables_have_for_one_from_elsewhere_is_of_the_language(table: dict[str, list[str]]) -> None:
    assert {ours for meant in table.values() for ours in meant} <= words_of_the_language()


def names_in(place: str) -> Iterable[str]:
    """What may stand in a place that has remedies; of blocks of several kinds in each of them."""
    if place in BLOCKS:
        return set.intersection(*({key.name for key in schema.keys or ()} for schema in BLOCKS[place]))
    if place == "blocks":
        return BLOCKS
    if place == "operators":
        return OPERATORS
    if place in CHOICES:
        return [rule.name for call in CHOICES[place] for rule in call.rules]
    if place in OPERATORS:
        return [rule.name for rule in OPERATORS[place].rules]
    rules = [rule for calls in CHOICES.values() for call in calls for rule in call.rules if rule.name == place]
    assert rules, place
    return [key.name for rule in rules for key in rule.keys]


def test_a_remedy_is_for_a_name_that_does_not_stand_where_it_is_given_and_is_never_a_fix() -> None:
    for (place, name), remedy in REMEDIES.items():
        assert name not in map(letters, names_in(place)), (place, name)
        assert not isinstance(remedy, Suggestion)
