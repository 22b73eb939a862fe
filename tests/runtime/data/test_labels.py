"""How many labels there are is counted with the mask of losses and metrics, and said in few lines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mtsldsl.diagnostics import MtlError
from mtsldsl.ir.task_record import Target, Task
from mtsldsl.runtime.data import FieldKind, Samples, Splits, describe
from mtsldsl.runtime.data.labels import require_labels
from mtsldsl.runtime.run.event_lines import label_lines
from tests.runtime.data.factories import spec, task

NUMBERS = (0.0, 1.0, -1.0, 2.5, 255.0, float("nan"), float("inf"), -float("inf"))


def described(target: Target, kind: FieldKind, values: np.ndarray) -> dict[str, Any]:
    """What is said of the training samples with these targets."""
    tensors = {"image": torch.zeros(len(values), 1, 2, 2), "it": torch.from_numpy(values)}
    samples = Samples(tensors, {"image": FieldKind.IMAGE, "it": kind})
    whole = spec("arrays", (task("it", target),), (1, 2, 2))
    return describe(whole, Splits(samples, samples, samples))["train"]


def counts(valid: np.ndarray, *, columns: bool = False) -> dict[str, Any]:
    """The same of a mask `(n, ...)`, sample by sample; its second dimension may be `columns` of their own."""
    labelled = sum(bool(np.any(sample)) for sample in valid)
    found: dict[str, Any] = {"samples": labelled, "entries": int(np.sum(valid)), "of": valid.size}
    empty = [column for column in range(valid.shape[1]) if not np.any(valid[:, column])] if columns else []
    if empty and np.any(valid):
        found["empty_columns"] = empty
    return {"samples": len(valid), "labels": {"it": found}}


def drawn(data: st.DataObject, *shape: int) -> np.ndarray:
    size = int(np.prod(shape))
    numbers = data.draw(st.lists(st.sampled_from(NUMBERS), min_size=size, max_size=size))
    return np.array(numbers, np.float32).reshape(shape)


@settings(deadline=None)
@given(st.data(), st.integers(1, 5), st.sampled_from(["finite", "positive"]))
def test_values_are_counted_as_the_target_says(data: st.DataObject, count: int, valid: str) -> None:
    found = drawn(data, count, 1, 2, 3)
    mask = np.isfinite(found) & ((found > 0) if valid == "positive" else True)
    assert described(Target("values", 1, valid=valid), FieldKind.PLAIN, found) == counts(mask)


@settings(deadline=None)
@given(st.data(), st.integers(1, 5), st.sampled_from([None, -1, 255]))
def test_answers_are_counted_where_they_are_given(data: st.DataObject, count: int, ignore: int | None) -> None:
    found = drawn(data, count, 2)
    mask = np.isfinite(found) & (True if ignore is None else found != ignore)
    assert described(Target("binary", 2, ignore), FieldKind.EDGE, found) == counts(mask, columns=True)


def test_a_column_without_a_label_is_warned_of_and_a_sample_with_some_is_told_from_a_whole_one() -> None:
    target = Target("values", 3)
    found = np.arange(12, dtype=np.float32).reshape(4, 3)
    found[:, 1] = np.nan
    tensors = {"image": torch.zeros(4, 1, 2, 2), "it": torch.from_numpy(found)}
    samples = Samples(tensors, {"image": FieldKind.IMAGE, "it": FieldKind.PLAIN})
    job = spec("arrays", (task("it", target),), (1, 2, 2))
    said = describe(job, Splits(samples, samples, samples))
    assert label_lines(said)[1].startswith("labels: `it` 4 train (66.7 % of all entries), 4 validation")
    assert require_labels(job, said) == [
        "no train sample has a label in column 1 (from 0) of `it` that counts: nothing is learned of it",
        "no validation sample has a label in column 1 (from 0) of `it` that counts: it is left out of the metrics there",
        "no test sample has a label in column 1 (from 0) of `it` that counts: it is left out of the metrics there",
    ]


@settings(deadline=None)
@given(st.data(), st.integers(1, 5))
def test_directions_are_counted_whole(data: st.DataObject, count: int) -> None:
    found = drawn(data, count, 3, 2, 2)
    mask = np.isfinite(found).all(axis=1) & (found != 0).any(axis=1)
    assert described(Target("unit_vectors", 3), FieldKind.NORMAL, found) == counts(mask)


@settings(deadline=None)
@given(
    st.lists(st.lists(st.sampled_from([-1, 0, 1, 2, 255]), min_size=4, max_size=4), min_size=1, max_size=5),
    st.sampled_from([None, -1, 0, 255]),
)
def test_classes_are_counted_where_they_are_neither_missing_nor_ignored(
    labels: list[list[int]], ignore: int | None
) -> None:
    found = np.array(labels, np.int16).reshape(-1, 2, 2)
    mask = (found >= 0) & (True if ignore is None else found != ignore)
    assert described(Target("classes", 3, ignore), FieldKind.LABEL, found) == counts(mask)


@pytest.mark.parametrize(("dtype", "ignore"), [(np.uint8, -100), (np.uint8, 256), (np.int16, 65536)])
def test_the_number_that_is_ignored_may_be_none_of_the_type_that_labels_are_kept_in(dtype: type, ignore: int) -> None:
    # in the type itself -100 would be 156, and 256 or 65536 would be 0
    found = np.array([0, 156, 3, 0] * 5, dtype)
    assert described(Target("classes", 200, ignore), FieldKind.LABEL, found) == counts(np.ones(20, dtype=bool))


def test_one_label_a_sample_is_counted_too() -> None:
    found = np.array([0, -1, 2, 255, 1] * 30, np.int16)
    assert described(Target("classes", 3, 255), FieldKind.LABEL, found) == counts((found >= 0) & (found != 255))


def test_every_number_of_a_reconstruction_counts() -> None:
    samples = Samples({"image": torch.zeros(70, 1, 2, 2, dtype=torch.uint8)}, {"image": FieldKind.IMAGE})
    whole = spec("arrays", (task("auto", Target("reconstruct", 1)),), (1, 2, 2))
    found = describe(whole, Splits(samples, samples, samples))
    assert found["test"] == {"samples": 70, "labels": {"auto": {"samples": 70, "entries": 280, "of": 280}}}


def many(count: int, entries: int, of: int = 40) -> tuple[dict[str, Any], list[str]]:
    """A description of that many tasks alike."""
    names = [f"task{number}" for number in range(count)]
    labels = {name: {"samples": min(entries, 10), "entries": entries, "of": of} for name in names}
    return {split: {"samples": 10, "labels": labels} for split in ("train", "validation", "test")}, names


@pytest.mark.parametrize("entries", [40, 7, 0])
@pytest.mark.parametrize("count", [1, 6, 7, 40, 200])
def test_the_lines_are_few_and_short_for_any_number_of_tasks(count: int, entries: int) -> None:
    lines = label_lines(many(count, entries)[0])
    assert 2 <= len(lines) <= 8
    assert max(map(len, lines)) <= 160
    told = sum(f"`task{number}`" in " ".join(lines) for number in range(count))
    assert told == min(count, 6)
    if count > 6:
        assert f"{count - 6} more" in " ".join(lines)


def test_the_lines_say_how_many_samples_are_labelled() -> None:
    found = {
        "train": {
            "samples": 1300,
            "labels": {
                "all": {"samples": 1300, "entries": 1300, "of": 1300},
                "few": {"samples": 12, "entries": 12, "of": 1300},
                "dense": {"samples": 1300, "entries": 65000, "of": 130000},
            },
        },
        "test": {
            "samples": 100,
            "labels": {
                "all": {"samples": 100, "entries": 100, "of": 100},
                "few": {"samples": 0, "entries": 0, "of": 100},
                "dense": {"samples": 99, "entries": 5000, "of": 10000},
            },
        },
    }
    assert label_lines(found) == [
        "samples: 1,300 train, 100 test",
        "labels: all of `all`",
        "labels: `few` 12 train, 0 test",
        "labels: `dense` 1,300 train (50 % of all entries), 99 test (50 % of all entries)",
    ]


def test_tasks_without_a_label_to_learn_from_are_an_error_each() -> None:
    found, names = many(3, 4)
    found["train"] = {
        "samples": 10,
        "labels": found["train"]["labels"] | {names[1]: {"samples": 0, "entries": 0, "of": 4}},
    }
    tasks = tuple(task(name, Target("values", 1, valid="positive")) for name in names)
    with pytest.raises(MtlError) as caught:
        require_labels(spec("arrays", tasks), found)
    (error,) = caught.value.diagnostics
    assert (error.code, names[1] in error.cause, "valid=finite" in error.remedy) == ("MTL804", True, True)


def test_tasks_without_a_label_elsewhere_are_a_line_for_each_split() -> None:
    found, names = many(40, 0)
    found["train"] = many(40, 4)[0]["train"]
    tasks: tuple[Task, ...] = tuple(task(name, Target("values", 1)) for name in names)
    warnings = require_labels(spec("arrays", tasks), found)
    assert [line.split()[1] for line in warnings] == ["validation", "test"]
    assert all("34 more" in line and len(line) < 200 for line in warnings)
