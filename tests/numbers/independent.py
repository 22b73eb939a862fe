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
) -> float:
    """The loss over all entries that count."""
    if kind == "classes":
        rows = valid[:, 0]
        labels = t[rows, 0].astype(np.int64)
        losses = softmax_entropy(p[rows], labels)
        if name == "cross_entropy":
            classes = np.arange(p.shape[1])
            of_all = np.mean([softmax_entropy(p[rows], np.full_like(labels, label)) for label in classes], axis=0)
            return float(((1 - label_smoothing) * losses + label_smoothing * of_all).mean())
        weights = np.array([(1 - beta) / (1 - beta ** (labels == label).sum()) for label in labels])
        return float(np.average(losses, weights=weights))
    if kind == "unit_vectors":
        rows = valid[:, 0]
        p, t = p[rows] / np.linalg.norm(p[rows], axis=1, keepdims=True), t[rows]
        return float(np.abs(p - t).mean() if name == "l1" else 1 - (p * t).sum(1).mean())
    p, t = p[valid], t[valid]
    if kind == "binary":
        losses = np.logaddexp(0, p) - p * t
        return float(
            (losses if name == "bce" else np.where(t == 1, positive_weight, 1 - positive_weight) * losses).mean()
        )
    errors = {"l1": np.abs(p - t), "mse": (p - t) ** 2, "rmse": (p - t) ** 2}[name].mean()
    return float(np.sqrt(errors) if name == "rmse" else errors)


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


def _delta1(p: Array, t: Array) -> float:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.maximum(p / t, t / p)
    return float(((p * t > 0) & (ratio < 1.25)).mean())


_of_values: dict[str, Callable[[Array, Array], float]] = {
    "rmse": lambda p, t: float(sk.root_mean_squared_error(t, p)),
    "abs_rel": lambda p, t: float(sk.mean_absolute_percentage_error(t, p)),
    "delta1": _delta1,
    "mae": lambda p, t: float(sk.mean_absolute_error(t, p)),
    "r2": lambda p, t: float(sk.r2_score(t, p)),
}
_of_binary: dict[str, Callable[[Array, Array], float]] = {
    "f1": lambda p, t: f1(p, t, 0.5),
    "bce": lambda p, t: float(sk.log_loss(t, 1 / (1 + np.exp(-p)), labels=[0, 1])),
    "accuracy": lambda p, t: float(sk.accuracy_score(t, p > 0)),
}
_of_reconstruct: dict[str, Callable[[Array, Array], float]] = {
    "mse": lambda p, t: float(sk.mean_squared_error(t, p)),
    "mae": lambda p, t: float(sk.mean_absolute_error(t, p)),
}
