"""Arrays of class numbers and of yes and no as tensors, and what to do about those that are others."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtsldsl.diagnostics import MtlError
from mtsldsl.ir.task_record import Target
from mtsldsl.runtime.data.array_columns import Array, Column, and_more, distinct, pieces, row_of, rows_with

MISSING = -1
"""The class number of a label that is not a finite number, or is ignored. No class has it, so it never counts."""


def class_column(name: str, array: Array, target: Target, *, drop: bool = False) -> Column:
    """Class numbers in the smallest type that holds them; those that are not finite as `MISSING`.

    Raises MTL602 for what is no class and not the number that is ignored; with `drop` those rows are `unfit`.
    """
    unfit = rows_with(array, lambda piece: _no_class(piece, target))
    if unfit.size and not drop:
        raise _no_class_in(name, array, unfit, target)
    low = high = 0
    for number, (_, piece) in enumerate(pieces(array)):
        labels = _marked(piece, target, unfit.size > 0)
        least, largest = int(labels.min()), int(labels.max())
        low, high = (min(low, least), max(high, largest)) if number else (least, largest)
    types = (np.uint8, np.int16, np.int32, np.int64)
    compact = next(each for each in types if np.iinfo(each).min <= low and high <= np.iinfo(each).max)

    def convert(rows: Array) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(_marked(rows, target, unfit.size > 0).astype(compact)))

    return Column(array, convert, unfit)


def _finite(array: Array) -> NDArray[np.bool_]:
    return np.isfinite(array) if array.dtype.kind == "f" else np.ones(array.shape, bool)


def _no_class(array: Array, target: Target) -> NDArray[np.bool_]:
    """Where a number is neither a class, nor ignored, nor missing."""
    wrong: NDArray[np.bool_] = np.asarray((array < 0) | (array >= target.channels))
    if array.dtype.kind == "f":
        wrong = (wrong | (array != np.floor(array))) & np.isfinite(array)
    return wrong if target.ignore is None else wrong & (array != target.ignore)


def _marked(array: Array, target: Target, some_wrong: bool) -> Array:
    """The labels, `MISSING` in the place of those that are missing, or are no class where some are wrong."""
    labels = array
    if array.dtype.kind == "f":  # a short type may have rounded the number that is ignored, so it is not kept
        ignored = False if target.ignore is None else array == target.ignore
        labels = np.where(np.isfinite(array) & ~np.asarray(ignored), array, MISSING)
    if target.ignore is not None and labels.dtype.kind == "u" and target.ignore > np.iinfo(np.int64).max:
        labels = np.where(labels == target.ignore, 0, labels).astype(np.int64) - (labels == target.ignore)  # as MISSING
    if some_wrong:
        wrong = _no_class(array, target)
        labels = np.where(wrong, MISSING, np.where(wrong, 0, labels).astype(np.int64))
    return labels


def _no_class_in(name: str, array: Array, rows: NDArray[np.int64], target: Target) -> MtlError:
    """What is wrong with the first row that has a label which is none."""
    fractions = rows_with(array, _fraction) if array.dtype.kind == "f" else rows[:0]
    if fractions.size:
        row = array[fractions[:1]]
        cause = f"{row_of(name, array, fractions[0])} holds {row[_fraction(row)].flat[0]:g}, where classes are expected"
        return MtlError.of("MTL602", f"{cause}{and_more(fractions)}", "save whole numbers")
    row, known = array[rows[:1]], distinct(array, _finite)
    label = int(row[_no_class(row, target)].flat[0])
    cause = (
        f"{row_of(name, array, rows[0])} holds the label {label}, but the task has the classes 0 to "
        f"{target.channels - 1}{and_more(rows)}"
    )
    counted = known if target.ignore is None else known[known != target.ignore]
    return MtlError.of("MTL602", cause, _numbered(counted, target))


def _fraction(array: Array) -> NDArray[np.bool_]:
    fraction: NDArray[np.bool_] = np.isfinite(array) & (array != np.floor(array))
    return fraction


def _numbered(counted: Array, target: Target) -> str:
    """What to do about labels that are no classes."""
    low, high, classes = int(counted.min()), int(counted.max()), target.channels
    remedy = "change the number of classes, or say which label means none: classes(..., ignore=...)"
    if low == 1 and high == classes and target.ignore == 0:
        remedy = f"write classes({classes + 1}, ignore=0), with a head of {classes + 1}; or subtract 1, and ignore=-1"
    elif low == 1 and high == classes:
        remedy = "subtract 1: the first class is 0"
    elif classes == 2 and target.ignore is None and high > 1 and set(np.unique(counted)) == {0, high}:
        remedy = f"save a mask of 0 and 1, such as `array > 0`; or write classes(2, ignore={high}) if {high} means none"
    elif len(others := np.unique(counted[(counted < 0) | (counted >= classes)])) == 1 and target.ignore is None:
        remedy = f"change the number of classes, or write classes({classes}, ignore={int(others[0])}) if it means none"
    return remedy


def binary_column(name: str, array: Array, target: Target, *, drop: bool = False) -> Column:
    """0 and 1, and what does not count, as float32.

    Raises MTL602 for other numbers than 0, 1 and the one that is ignored; with `drop` those rows are `unfit`.
    """

    def wrong(piece: Array) -> NDArray[np.bool_]:
        others: NDArray[np.bool_] = _finite(piece) & (piece != 0) & (piece != 1) & (piece != target.ignore)
        return others

    unfit = rows_with(array, wrong)
    if unfit.size and not drop:
        known, others = distinct(array, _finite), distinct(array, wrong)
        answers = array[unfit[:1]]
        found, where = answers[wrong(answers)].flat[0], row_of(name, array, unfit[0])
        cause = f"{where} holds {found:g}, where a binary target has 0 and 1{and_more(unfit)}"
        raise MtlError.of("MTL602", cause, _as_yes_and_no(known, others, target))

    def convert(rows: Array) -> Tensor:
        answers = np.array(rows, dtype=np.float32, order="C")
        if target.ignore is not None:
            answers[rows == target.ignore] = np.nan  # which no type rounds
        return torch.from_numpy(answers)

    return Column(array, convert, unfit)


def _as_yes_and_no(known: Array, others: Array, target: Target) -> str:
    alone, ones = others.size == 1, bool((known == 1).any())
    if alone and ones and float(others[0]).is_integer() and target.ignore is None and (known == 0).any():
        return f"write binary({target.channels}, ignore={int(others[0])}) if it means no answer"
    if float(others[0]) > 0 and float(others[-1]) < 1:
        return "save answers, and not how likely they are: `array > 0.5`"
    answers = known[known != target.ignore] if target.ignore is not None else known
    if float(answers.min()) == 1 and float(answers.max()) == 2 and others.size == 1:
        return "subtract 1: `array - 1`, where 1 means no and 2 means yes"
    if (answers > 0).any() and not (answers > 0).all():
        mask = "save a mask of 0 and 1, such as `array > 0`"
        low = float(answers.min())
        if alone and low < 0 and low.is_integer() and target.ignore is None:
            return f"{mask}; or write binary({target.channels}, ignore={int(low)}) if {int(low)} means no answer"
        return mask
    return "save answers of 0 and 1"
