"""Losses and metrics once more: by hand in numpy, and by scikit-learn where it has them. Nothing of the project's own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics as sk

Array = NDArray[np.float64]
Valid = NDArray[np.bool_]


def softmax_entropy(p: Array, labels: NDArray[np.int64]) -> Array:
    shifted = p - p.max(1, keepdims=True)
    return np.log(np.exp(shifted).sum(1)) - shifted[np.arange(len(p)), labels]


def loss(
    kind: str,
    name: str,
    p: Array,
    t: Array,
    valid: Valid,
    *,
    label_smoothing: float = 0.0,
    beta: float = 0.999,
    positive_weight: float = 0.95,
    gamma: float = 2.0,
    alpha: float = 0.25,
    smooth: float = 1.0,
    delta: float = 1.0,
    variance_focus: float = 0.85,
    weight: tuple[float, ...] = (),
) -> float:
    """The loss over all entries that count."""
    if kind == "classes":
        rows = valid[:, 0]
        labels = t[rows, 0].astype(np.int64)
        losses = softmax_entropy(p[rows], labels)
        classes = np.arange(p.shape[1])
        if name == "cross_entropy":
            factors = np.array(weight or [1.0] * len(classes))
            of_all = np.mean(
                [factors[label] * softmax_entropy(p[rows], np.full_like(labels, label)) for label in classes], axis=0
            )
            total = ((1 - label_smoothing) * factors[labels] * losses + label_smoothing * of_all).sum()
            return float(total / factors[labels].sum())
        if name == "focal":
            return float(((1 - np.exp(-losses)) ** gamma * losses).mean())
        if name == "dice":
            probabilities = softmax(p[rows])
            return float(np.mean([_dice(probabilities[:, k], labels == k, smooth) for k in np.unique(labels)]))
        weights = np.array([(1 - beta) / (1 - beta ** (labels == label).sum()) for label in labels])
        return float(np.average(losses, weights=weights))
    if kind == "unit_vectors":
        rows = valid[:, 0]
        p, t = p[rows] / np.linalg.norm(p[rows], axis=1, keepdims=True), t[rows]
        return float(np.abs(p - t).mean() if name == "l1" else 1 - (p * t).sum(1).mean())
    if name == "dice":
        columns = [k for k in range(p.shape[1]) if valid[:, k].any()]
        return float(np.mean([_dice(sigmoid(p[valid[:, k], k]), t[valid[:, k], k], smooth) for k in columns]))
    p, t = p[valid], t[valid]
    if kind == "binary":
        losses = np.logaddexp(0, p) - p * t
        if name == "focal":
            of_answer = np.where(t == 1, sigmoid(p), sigmoid(-p))
            return float((np.where(t == 1, alpha, 1 - alpha) * (1 - of_answer) ** gamma * losses).mean())
        return float(
            (losses if name == "bce" else np.where(t == 1, positive_weight, 1 - positive_weight) * losses).mean()
        )
    if name == "silog":
        apart = extended_log(p) - extended_log(t)
        return float((apart**2).mean() - variance_focus * apart.mean() ** 2)
    if name == "huber":
        far = np.abs(p - t) > delta
        return float(np.where(far, delta * (np.abs(p - t) - delta / 2), (p - t) ** 2 / 2).mean())
    errors = {"l1": np.abs(p - t), "mse": (p - t) ** 2, "rmse": (p - t) ** 2}[name].mean()
    return float(np.sqrt(errors) if name == "rmse" else errors)


def softmax(p: Array) -> Array:
    powers = np.exp(p - p.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def sigmoid(p: Array) -> Array:
    return 1 / (1 + np.exp(-p))


def extended_log(p: Array) -> Array:
    """The logarithm, and below 0.001 a line of slope 1."""
    return np.where(p > 1e-3, np.log(np.maximum(p, 1e-3)), np.log(1e-3) + p - 1e-3)


def _dice(probability: Array, truth: Array, smooth: float) -> float:
    return float(1 - (2 * (probability * truth).sum() + smooth) / (probability.sum() + truth.sum() + smooth))


def metrics(kind: str, p: Array, t: Array, valid: Valid) -> dict[str, list[float]]:
    """Each metric by column of the target, at its default arguments."""
    if kind == "classes":
        rows = valid[:, 0]
        labels, guess = t[rows, 0].astype(np.int64), p[rows].argmax(1)
        accuracy = sk.accuracy_score(labels, guess)
        return {
            "miou": [sk.jaccard_score(labels, guess, average="macro")],
            "pixel_accuracy": [accuracy],
            "accuracy": [accuracy],
            "error": [sk.zero_one_loss(labels, guess)],
            "macro_f1": [sk.f1_score(labels, guess, average="macro")],
            "auroc": [_of_each_class(sk.roc_auc_score, p[rows], labels)],
            "average_precision": [_of_each_class(sk.average_precision_score, p[rows], labels)],
            "calibration_error": calibration_by_column(kind, p, t, valid, 15),
        }
    if kind == "unit_vectors":
        degrees = angles(p, t, valid)
        return {
            "mean_angle": [float(degrees.mean())],
            "median_angle": [float(np.median(degrees))],
            "within_11.25": [float((degrees < 11.25).mean())],
        }
    of = {"values": _of_values, "binary": _of_binary, "reconstruct": _of_reconstruct}[kind]
    return {name: [one(p[valid[:, k], k], t[valid[:, k], k]) for k in range(p.shape[1])] for name, one in of.items()}


def angles(p: Array, t: Array, valid: Valid) -> Array:
    """The angle in degrees between each vector and its truth."""
    p, t = p[valid[:, 0]], t[valid[:, 0]]
    cosines = (p * t).sum(1) / np.linalg.norm(p, axis=1) / np.linalg.norm(t, axis=1)
    return np.degrees(np.arccos(cosines.clip(-1, 1)))


def f1(p: Array, t: Array, threshold: float) -> float:
    """F1 of logits whose probability is above the threshold."""
    return float(sk.f1_score(t, 1 / (1 + np.exp(-p)) > threshold))


def f1_best(p: Array, t: Array) -> float:
    """The largest F1 at a threshold that is a multiple of 1 / 4096: equal probabilities are those that no such one
    parts."""
    if not t.any():
        return 0.0
    precision, recall, _ = sk.precision_recall_curve(t, np.ceil(sigmoid(p) * 4096))
    return float((2 * precision * recall / np.maximum(precision + recall, 1e-12)).max())


def _delta1(p: Array, t: Array) -> float:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.maximum(p / t, t / p)
    return float(((p * t > 0) & (ratio < 1.25)).mean())


def _of_each_class(score: Callable[..., float], p: Array, labels: NDArray[np.int64]) -> float:
    """The mean over the classes that some labels are of, and others are not."""
    present = [k for k in range(p.shape[1]) if 0 < (labels == k).sum() < len(labels)]
    return float(np.mean([score(labels == k, softmax(p)[:, k]) for k in present])) if present else np.nan


def calibration_by_column(kind: str, p: Array, t: Array, valid: Valid, n_bins: int) -> list[float]:
    """The expected calibration error."""
    if kind == "classes":
        rows = valid[:, 0]
        return [_calibration(softmax(p[rows]).max(1), p[rows].argmax(1) == t[rows, 0], n_bins)]
    return [_calibration(sigmoid(p[valid[:, k], k]), t[valid[:, k], k], n_bins) for k in range(p.shape[1])]


def _calibration(sure: Array, right: Array, n_bins: int) -> float:
    """Of bins that are closed below."""
    place = np.clip(np.digitize(sure, np.linspace(0, 1, n_bins + 1)) - 1, 0, n_bins - 1)
    apart = [abs(sure[place == k].sum() - right[place == k].sum()) for k in range(n_bins)]
    return float(sum(apart) / len(sure))


def _both(score: Callable[..., float]) -> Callable[[Array, Array], float]:
    """A score that needs a yes and a no, else NaN."""
    return lambda p, t: float(score(t, p)) if len(np.unique(t)) == 2 else np.nan


def log_errors(p: Array, t: Array) -> Array:
    return np.log(np.maximum(p, 1e-3)) - np.log(np.maximum(t, 1e-3))


_of_values: dict[str, Callable[[Array, Array], float]] = {
    "rmse": lambda p, t: float(sk.root_mean_squared_error(t, p)),
    "rmse_log": lambda p, t: float(np.sqrt(np.square(log_errors(p, t)).mean())),
    "silog": lambda p, t: float(np.std(log_errors(p, t))),
    "abs_rel": lambda p, t: float(sk.mean_absolute_percentage_error(t, p)),
    "delta1": _delta1,
    "mae": lambda p, t: float(sk.mean_absolute_error(t, p)),
    "r2": lambda p, t: float(sk.r2_score(t, p)),
}
_of_binary: dict[str, Callable[[Array, Array], float]] = {
    "f1": lambda p, t: f1(p, t, 0.5),
    "f1_best": f1_best,
    "bce": lambda p, t: float(sk.log_loss(t, 1 / (1 + np.exp(-p)), labels=[0, 1])),
    "accuracy": lambda p, t: float(sk.accuracy_score(t, p > 0)),
    "auroc": _both(sk.roc_auc_score),
    "average_precision": _both(sk.average_precision_score),
    "calibration_error": lambda p, t: _calibration(sigmoid(p), t, 15),
}
_of_reconstruct: dict[str, Callable[[Array, Array], float]] = {
    "mse": lambda p, t: float(sk.mean_squared_error(t, p)),
    "mae": lambda p, t: float(sk.mean_absolute_error(t, p)),
}
