from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mtsldsl.diagnostics import MtlError
from mtsldsl.ir.model import Spec
from mtsldsl.ir.task_record import Target
from mtsldsl.language.constants import Constant
from mtsldsl.runtime.data import FieldKind, batches, load_data
from tests.runtime.data.factories import dense_tasks, spec, task
from tests.runtime.data.test_nyuv2 import image_files, write_folder

SEGMENT, DEPTH, NORMAL, EDGE, AUTOENCODE = dense_tasks(5)
NEAR = task("near", Target("values", 1))
AGE = task("age", Target("values", 1), dense=False)


def rooms(*tasks: object, shape: tuple[int, ...] = (3, 16, 24), **options: Constant) -> Spec:
    return spec("scenes", tasks, shape, **{"images": 40, **options})  # type: ignore[arg-type]


def test_scenes_are_loaded_and_split_by_the_options() -> None:
    splits = load_data(rooms(*dense_tasks(5), validation=0.25, test=0.2))
    assert [len(samples) for _, samples in splits.named()] == [24, 8, 8]
    batch = next(batches(splits.train, 4))
    assert {name: tuple(tensor.shape) for name, tensor in batch.items()} == {
        "image": (4, 3, 16, 24),
        "label": (4, 16, 24),
        "depth": (4, 1, 16, 24),
        "normal": (4, 3, 16, 24),
        "edge": (4, 1, 16, 24),
    }


def test_only_the_fields_that_tasks_need_are_loaded() -> None:
    train = load_data(rooms(DEPTH)).train
    assert list(train.fields) == ["image", "depth"]
    assert train.layout["depth"] is FieldKind.DEPTH


def test_fields_have_their_defaults_by_the_kind_of_target() -> None:
    tasks = (
        task("parts", Target("classes", 5)),
        task("far", Target("values", 1)),
        task("auto", Target("reconstruct", 3)),
    )
    assert list(load_data(rooms(*tasks)).train.fields) == ["image", "label", "depth"]


def test_the_input_has_the_name_that_the_spec_gives_it() -> None:
    found = load_data(spec("scenes", (DEPTH,), (3, 8, 8), input_name="view", images=40))
    assert list(found.train.fields) == ["view", "depth"]


def test_data_depends_on_its_own_seed() -> None:
    first, again, other = (load_data(rooms(DEPTH, seed=seed)).test.fields["image"] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (rooms(dense_tasks(13)[0]), r"MTL603.*5 classes, not 13(.|\n)*floor, ceiling, wall, box, sphere"),
        (rooms(task("depth", Target("values", 2))), r"MTL603.*`depth`(.|\n)*values\(1\)"),
        (rooms(task("depth", Target("values", 1), "dept")), r"MTL603.*no field `dept`(.|\n)*did you mean `depth`"),
        (rooms(task("depth", Target("values", 1), "label")), r"MTL603.*`label` does not hold"),
        (rooms(SEGMENT, task("more", Target("classes", 5, 3))), r"MTL603.*`more` reads `label` otherwise"),
        (rooms(DEPTH, images=16, validation=0.01), r"MTL804"),
        (spec("scenes", (DEPTH,), (3, 8, 8), images=20, batch=16), r"MTL804.*fewer than a batch"),
        (spec("scenes", (NEAR,), (3, 8, 8), input_name="depth"), r"MTL603.*both called `depth`"),
    ],
)
def test_a_spec_that_does_not_fit_its_data_is_an_error(wrong: Spec, message: str) -> None:
    with pytest.raises(MtlError, match=message):
        load_data(wrong)


def test_a_missing_data_set_is_an_error_that_says_where_it_was_looked_for_and_how_to_get_it(tmp_path: Path) -> None:
    missing = spec("nyuv2", (DEPTH,), name=str(tmp_path / "specs" / "nyuv2.mtl"), root="data/nyuv2")
    with pytest.raises(MtlError) as caught:
        load_data(missing)
    (found,) = caught.value.diagnostics
    assert found.code == "MTL601"
    assert str(Path("data/nyuv2").absolute()) in found.cause
    assert str(tmp_path / "specs" / "data" / "nyuv2") in found.cause
    assert "http" in found.remedy


def test_a_relative_path_is_looked_for_here_and_beside_the_spec(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, value in (("here", 1.0), ("specs", 2.0)):
        (tmp_path / folder).mkdir()
        np.savez(tmp_path / folder / "a.npz", image=np.zeros((10, 3, 2, 2)), age=np.full(10, value))
    wanted = spec("arrays", (AGE,), (3, 2, 2), name=str(tmp_path / "specs" / "s.mtl"), path="a.npz")
    monkeypatch.chdir(tmp_path / "here")
    assert float(load_data(wanted).test.fields["age"][0]) == 1.0
    (tmp_path / "here" / "a.npz").unlink()
    assert float(load_data(wanted).test.fields["age"][0]) == 2.0


def test_unlabelled_pixels_become_what_the_task_ignores(tmp_path: Path) -> None:
    root = str(write_folder(tmp_path, image_files()))
    for ignore in (255, -1, 200):
        tasks = (task("segment", Target("classes", 40, ignore), "label"),)
        train = load_data(spec("nyuv2", tasks, (3, 24, 32), root=root)).train
        labels = next(batches(train, 2))["label"]
        assert set(labels.unique().tolist()) == {38, ignore}


def test_unlabelled_pixels_that_a_task_does_not_ignore_are_an_error(tmp_path: Path) -> None:
    root = str(write_folder(tmp_path, image_files()))
    tasks = (task("segment", Target("classes", 40), "label"),)
    with pytest.raises(MtlError, match=r"MTL603.*no label(.|\n)*ignore=255"):
        load_data(spec("nyuv2", tasks, (3, 24, 32), root=root))


def test_workers_that_have_nothing_to_do_are_told() -> None:
    assert not any("--workers" in remark for remark in load_data(rooms(DEPTH)).remarks)
    (said,) = [remark for remark in load_data(rooms(DEPTH), workers=2).remarks if "--workers" in remark]
    assert said == (
        "`--workers 2` does nothing: samples of `data scenes` are read in one process; workers read those of "
        "`data folder` and `data python`"
    )
