"""Arrays of which each field has samples of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mtsldsl import loads
from mtsldsl.datasets.arrays.load import load
from mtsldsl.datasets.registry import data_kind
from mtsldsl.diagnostics import MtlError
from mtsldsl.ir.task_record import Target, Task
from mtsldsl.language.constants import Constant, Shape
from mtsldsl.runtime.data import FieldKind, Samples, Splits, load_data
from mtsldsl.runtime.data.demand import Part
from tests.records import data_of
from tests.runtime.data.factories import spec, task
from tests.runtime.data.test_arrays import numbered

KIND = task("kind", Target("classes", 4), dense=False)
AGE = task("age", Target("values", 1), dense=False)
SHAPE = (1, 6, 8)


def loaded(
    path: Path, *tasks: Task, shape: Shape = SHAPE, input_name: str = "image", **options: Constant
) -> dict[str, Splits[Samples]]:
    data = data_of("arrays", input_name, shape, 2, path=str(path), apart=True, **options)
    found = load(Part(data, tasks), path, False)
    assert isinstance(found, dict)
    return found


def own(field: str, count: int, target: np.ndarray[Any, Any] | None = None, before: str = "") -> dict[str, Any]:
    """The arrays of one field: images of which each has its number everywhere, and a target that follows from it."""
    follows = np.arange(count) % 4 if target is None else target
    return {f"{before}{field}/image": numbered(count), f"{before}{field}/target": follows}


def saved(folder: Path, *arrays: dict[str, Any]) -> Path:
    np.savez(folder / "a.npz", **{name: array for each in arrays for name, array in each.items()})
    return folder / "a.npz"


def counts(splits: Splits[Samples]) -> list[int]:
    return [len(samples) for _, samples in splits.named()]


def test_each_field_has_its_own_samples_and_they_stay_together(tmp_path: Path) -> None:
    path = saved(tmp_path, own("kind", 50), own("age", 20, np.arange(20.0)))
    found = loaded(path, KIND, AGE, validation=0.1, test=0.2)
    assert list(found) == ["kind", "age"]
    assert counts(found["kind"]) == [36, 4, 10]
    assert counts(found["age"]) == [14, 2, 4]
    for name, kind in (("kind", FieldKind.LABEL), ("age", FieldKind.PLAIN)):
        seen = []
        for _, samples in found[name].named():
            assert samples.layout == {"image": FieldKind.IMAGE, name: kind}
            number = samples.fields["image"][:, 0, 0, 0].long()
            target = samples.fields[name].flatten().long()
            assert torch.equal(target, number if name == "age" else number % 4)
            seen += number.tolist()
        assert sorted(seen) == list(range(50 if name == "kind" else 20))


def test_the_split_of_a_field_depends_on_the_seed_and_on_no_other_field(tmp_path: Path) -> None:
    path = saved(tmp_path, own("kind", 50), own("age", 20, np.arange(20.0)))
    alone, both = loaded(path, AGE)["age"], loaded(path, KIND, AGE)["age"]
    other = loaded(path, AGE, seed=1)["age"]
    assert torch.equal(alone.test.fields["age"], both.test.fields["age"])
    assert not torch.equal(alone.test.fields["age"], other.test.fields["age"])


def test_arrays_named_by_split_are_kept_as_they_are(tmp_path: Path) -> None:
    sizes = {"train": (6, 9), "validation": (3, 4), "test": (2, 5)}
    arrays = [
        own(field, count, before=f"{split}/")
        for split, pair in sizes.items()
        for field, count in zip(("kind", "age"), pair, strict=True)
    ]
    found = loaded(saved(tmp_path, *arrays), KIND, AGE)
    assert counts(found["kind"]) == [6, 3, 2]
    assert counts(found["age"]) == [9, 4, 5]
    without = [each for each in arrays if not next(iter(each)).startswith("validation")]
    assert counts(loaded(saved(tmp_path, *without), KIND, validation=0.5)["kind"]) == [3, 3, 2]


def test_a_field_may_be_called_as_a_split_is(tmp_path: Path) -> None:
    age = task("age", Target("values", 1), "train", dense=False)
    assert counts(loaded(saved(tmp_path, own("train", 10)), age)["age"]) == [7, 1, 2]


def test_tasks_of_one_field_share_its_samples_and_a_reconstruction_has_those_of_its_name(tmp_path: Path) -> None:
    path = saved(tmp_path, own("kind", 50), {"itself/image": numbered(10)})
    again = task("again", Target("classes", 4), "kind", dense=False)
    itself = task("itself", Target("reconstruct", 1), "image", size=(6, 8))
    found = loaded(path, KIND, again, itself)
    assert found["kind"] is found["again"]
    assert set(found["itself"].train.fields) == {"image"}
    assert counts(found["itself"]) == [7, 1, 2]


def test_what_a_person_should_know_is_said_for_the_task_that_has_it(tmp_path: Path) -> None:
    bright = {"age/image": numbered(20).astype(np.float32) * 10, "age/target": np.arange(20.0)}
    found = loaded(saved(tmp_path, own("kind", 50), bright), KIND, AGE)
    assert found["kind"].remarks == ()
    assert "`age/image` of" in found["age"].remarks[0]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"kind/image": numbered(10)}, r"MTL603.*no array `kind/target`(.|\n)*the known arrays are: image"),
        ({"kind/target": np.zeros(10)}, r"MTL603.*no array `kind/image`"),
        (
            {"kind/image": numbered(10), "kind/targets": np.zeros(10)},
            r"MTL603.*no array `kind/target`(.|\n)*did you mean `targets`",
        ),
        (own("kinds", 10), r"MTL603.*no array `kind/image`(.|\n)*did you mean `kinds`"),
        (
            {"image": numbered(10), "kind": np.zeros(10)},
            r"MTL603(.|\n)*named as `kind/image`, the target `kind/target`",
        ),
        (
            {f"{split}/{name}": numbered(3) for split in ("train", "test") for name in ("image", "kind")},
            r"MTL603(.|\n)*named as `kind/image`",
        ),
        (own("kind", 10, before="train/"), r"MTL603.*none named `test/"),
        (
            {**own("kind", 10, before="train/"), **own("kind", 10, before="val/")},
            r"MTL603.*`val/...`(.|\n)*`validation/...`",
        ),
        (
            {**own("kind", 10, before="train/"), **own("kin", 10, before="test/")},
            r"MTL603.*no array `test/kind/image`(.|\n)*did you mean `kin`",
        ),
        (own("kind", 10, np.zeros(9)), r"MTL602.*differ in length: `kind/image` 10, `kind/target` 9"),
        (own("kind", 10, np.full(10, 4)), r"MTL602.*`kind/target` of .* holds the label 4"),
        (own("kind", 10, np.array([None] * 10)), r"MTL602.*`kind/target` of .* is no array of numbers"),
        (
            {"kind/image": numbered(10, (1, 5, 8)), "kind/target": np.zeros(10)},
            r"MTL602.*sample of `kind/image` of .* is 1 x 5 x 8",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_an_error(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(MtlError, match=message):
        loaded(saved(tmp_path, arrays), KIND)


def test_the_input_may_not_be_called_as_the_target_is(tmp_path: Path) -> None:
    with pytest.raises(MtlError, match=r"MTL603.*array `target`, which is the input's name too"):
        loaded(saved(tmp_path, own("kind", 10)), KIND, input_name="target")


def test_a_spec_without_apart_says_what_such_a_file_needs(tmp_path: Path) -> None:
    path = str(saved(tmp_path, own("kind", 10)))
    with pytest.raises(MtlError, match=r"MTL603.*no array `image`(.|\n)*write `apart = true`"):
        load_data(spec("arrays", (KIND,), SHAPE, path=path))


@pytest.mark.parametrize("line", ["", "apart = false", "apart = true"])
def test_the_key_says_whether_tasks_have_samples_of_their_own(line: str) -> None:
    data = loads(
        f'mtl 1\ndata arrays {{\n  path = "a.npz"\n  input = image(1, 6, 8)\n  {line}\n}}\n'
        "task age {\n  target = values(1)\n  head = linear(1)\n}\n"
        "backbone {\n  trunk = flatten | linear(4)\n}\ntrain {\n  epochs = 1\n}\n"
    ).data
    assert data_kind("arrays").apart(data.options) is line.endswith("true")
