from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mtsldsl.diagnostics import MtlError
from mtsldsl.ir.task_record import Target, Task
from mtsldsl.language.constants import Constant
from mtsldsl.runtime.data import FieldKind, Splits, batches, load_data
from tests.runtime.data.factories import dense_tasks, spec, task

KIND = task("kind", Target("classes", 4), dense=False)
AGE = task("age", Target("values", 1), dense=False)


def saved(path: Path, **arrays: np.ndarray) -> str:
    np.savez(path, **arrays)
    return str(path)


def numbered(count: int, shape: tuple[int, ...] = (1, 6, 8)) -> np.ndarray:
    """Images of which each has its number everywhere."""
    return np.broadcast_to(np.arange(count, dtype=np.uint8).reshape(-1, *[1] * len(shape)), (count, *shape))


def loaded(path: str, tasks: tuple[Task, ...], shape: tuple[int, ...] = (1, 6, 8), **options: Constant) -> Splits:
    return load_data(spec("arrays", tasks, shape, path=path, **options))


def test_a_seeded_split_keeps_fields_together_and_samples_apart(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.npz", image=numbered(50), kind=np.arange(50) % 4, age=np.arange(50.0))
    splits = loaded(path, (KIND, AGE), validation=0.1, test=0.2, seed=3)
    assert [len(samples) for _, samples in splits.named()] == [36, 4, 10]
    seen = []
    for _, samples in splits.named():
        number = samples.fields["image"][:, 0, 0, 0].int()
        assert torch.equal(samples.fields["kind"].int(), number % 4)
        assert torch.equal(samples.fields["age"][:, 0].int(), number)
        seen += number.tolist()
    assert sorted(seen) == list(range(50))
    again = loaded(path, (KIND, AGE), validation=0.1, test=0.2, seed=3)
    other = loaded(path, (KIND, AGE), validation=0.1, test=0.2, seed=4)
    assert torch.equal(splits.test.fields["age"], again.test.fields["age"])
    assert not torch.equal(splits.test.fields["age"], other.test.fields["age"])


def test_arrays_named_by_split_are_kept_as_they_are(tmp_path: Path) -> None:
    arrays = {
        f"{split}/{name}": array
        for split, count in (("train", 6), ("validation", 3), ("test", 2))
        for name, array in (("image", numbered(count)), ("age", np.full(count, count)))
    }
    splits = loaded(saved(tmp_path / "a.npz", **arrays), (AGE,))
    assert [samples.fields["age"].flatten().tolist() for _, samples in splits.named()] == [
        [6.0] * 6,
        [3.0] * 3,
        [2.0] * 2,
    ]


def test_validation_is_taken_from_train_where_there_is_none(tmp_path: Path) -> None:
    arrays = {
        f"{split}/{name}": array
        for split, count in (("train", 10), ("test", 2))
        for name, array in (("image", numbered(count)), ("age", np.arange(count)))
    }
    splits = loaded(saved(tmp_path / "a.npz", **arrays), (AGE,), validation=0.3)
    assert [len(samples) for _, samples in splits.named()] == [7, 3, 2]
    both = splits.train.fields["age"].flatten().tolist() + splits.validation.fields["age"].flatten().tolist()
    assert sorted(both) == list(range(10))


def test_batches_of_arrays_have_the_shapes_of_the_spec(tmp_path: Path) -> None:
    path = saved(
        tmp_path / "a.npz",
        image=np.random.default_rng(0).random((10, 3, 6, 8)),
        segment=np.zeros((10, 6, 8), np.int64),
        depth=np.ones((10, 6, 8)),
        normal=np.ones((10, 3, 6, 8)),
        edge=np.ones((10, 1, 6, 8), bool),
        kind=np.zeros(10),
        age=np.ones(10, np.int32),
    )
    dense = tuple(each for each in dense_tasks(4, (6, 8)) if each.name != "segment")
    segment = task("segment", Target("classes", 4), size=(6, 8))
    splits = loaded(path, (segment, *dense, KIND, AGE), (3, 6, 8))
    batch = next(batches(splits.train, 2))
    assert {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in batch.items()} == {
        "image": ((2, 3, 6, 8), torch.float32),
        "segment": ((2, 6, 8), torch.int64),
        "depth": ((2, 1, 6, 8), torch.float32),
        "normal": ((2, 3, 6, 8), torch.float32),
        "edge": ((2, 1, 6, 8), torch.float32),
        "kind": ((2,), torch.int64),
        "age": ((2, 1), torch.float32),
    }
    kinds = splits.train.layout
    assert kinds["depth"] is FieldKind.DEPTH
    assert kinds["normal"] is FieldKind.NORMAL
    assert kinds["age"] is FieldKind.PLAIN


def test_features_and_tokens_may_be_the_input(tmp_path: Path) -> None:
    for shape in ((5,), (7, 5)):
        path = saved(tmp_path / "a.npz", image=np.ones((10, *shape)), age=np.ones(10))
        assert next(batches(loaded(path, (AGE,), shape).train, 2))["image"].shape == (2, *shape)


def test_ignored_labels_may_be_outside_of_the_classes(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.npz", image=numbered(10), kind=np.full(10, -1))
    splits = loaded(path, (task("kind", Target("classes", 4, ignore=-1), dense=False),))
    assert next(batches(splits.train, 2))["kind"].tolist() == [-1, -1]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"image": numbered(10)}, r"MTL603.*no array `kind`"),
        ({"image": numbered(10), "kin": np.zeros(10)}, r"MTL603.*no array `kind`(.|\n)*did you mean `kin`"),
        ({"kind": np.zeros(10)}, r"MTL603.*no array `image`"),
        ({"image": numbered(10), "kind": np.zeros(9)}, r"MTL602.*differ in length.*`image` 10, `kind` 9"),
        (
            {"image": numbered(10), "kind": np.zeros((10, 2))},
            r"MTL602.*`kind`.* is 2, but the spec's is a single number",
        ),
        ({"image": numbered(10, (1, 5, 8)), "kind": np.zeros(10)}, r"MTL602.*`image`.* is 1 x 5 x 8, but .* 1 x 6 x 8"),
        ({"image": numbered(10, (6, 8, 1)), "kind": np.zeros(10)}, r"MTL602(.|\n)*put the channels first"),
        ({"image": numbered(10), "kind": np.full(10, 4)}, r"MTL602.*label 4, but .* classes 0 to 3"),
        ({"image": numbered(10), "kind": np.full(10, -2)}, r"MTL602.*label -2"),
        ({"image": numbered(10), "kind": np.full(10, 0.5)}, r"MTL602.*0\.5, where classes"),
        ({"image": numbered(10), "kind": np.full(10, "cat")}, r"MTL602.*not numbers"),
        ({"image": numbered(10), "kind": np.array([None] * 10)}, r"MTL602.*no array of numbers"),
        ({"train/image": numbered(10), "train/kind": np.zeros(10)}, r"MTL603.*none named `test/"),
    ],
)
def test_arrays_that_do_not_fit_are_an_error(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(MtlError, match=message):
        loaded(saved(tmp_path / "a.npz", **arrays), (KIND,))


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 cut off"])
def test_what_is_no_npz_file_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(MtlError, match=r"MTL602.*is no whole .npz file"):
        loaded(str(tmp_path / "a.npz"), (KIND,))


def test_a_single_array_is_no_npz_file(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(3))
    with pytest.raises(MtlError, match=r"MTL602.*is no whole .npz file"):
        loaded(str(tmp_path / "a.npy"), (KIND,))


def test_all_arrays_of_several_lengths_are_named_at_once(tmp_path: Path) -> None:
    ragged = np.array([np.zeros(1), np.zeros(2)] * 5, dtype=object)
    np.savez(tmp_path / "x.npz", image=ragged, kind=ragged)
    with pytest.raises(MtlError) as caught:
        loaded(str(tmp_path / "x.npz"), (task("kind", Target("values", 1)),))
    causes = [each.cause for each in caught.value.diagnostics]
    assert [cause.partition(" of `/")[0] for cause in causes] == ["`image`", "the target of `kind`: `kind`"]
    assert all("it holds objects, as samples of several lengths" in cause for cause in causes)
