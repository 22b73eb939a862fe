from __future__ import annotations

import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from mtsldsl.datasets.nyuv2.load import nyuv2, open_recording
from mtsldsl.datasets.nyuv2.recordings import CROP, CROPPED_SIZE
from mtsldsl.diagnostics import MtlError
from tests.runtime.data.matlab_files import write_matlab

COUNT = 5
TRAIN, TEST = (1, 2, 4), (3, 5)


def content() -> dict[str, np.ndarray]:
    """Arrays as the official file has them, transposed."""
    generator = np.random.default_rng(0)
    coarse = generator.integers(0, 6, (COUNT, 20, 15)).astype(np.uint16)
    return {
        "images": generator.integers(0, 256, (COUNT, 3, 640, 480), dtype=np.uint8),
        "labels": coarse.repeat(32, axis=1).repeat(32, axis=2),
        "depths": np.linspace(1, 4, 640, dtype=np.float32)[None, :, None] * np.ones((COUNT, 1, 480), np.float32),
    }


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_official(tmp_path_factory.mktemp("nyuv2"))


def write_official(folder: Path) -> Path:
    with h5py.File(folder / "nyu_depth_v2_labeled.mat", "w", userblock_size=512) as file:
        for name, array in content().items():
            file.create_dataset(name, data=array, chunks=(1, *array.shape[1:]), compression="gzip", compression_opts=1)
    indices = {"trainNdxs": np.array([TRAIN]).T, "testNdxs": np.array([TEST]).T}
    write_matlab(folder / "splits.mat", **indices)
    # the file's classes 1 to 5 among the 40: wall, floor, other prop, chair, television
    write_matlab(folder / "classMapping40.mat", mapClass=np.array([[1, 2, 40, 5, 25]]))
    return folder


def copied(official: Path, folder: Path, *names: str) -> Path:
    for name in ("nyu_depth_v2_labeled.mat", *names):
        (folder / name).write_bytes((official / name).read_bytes())
    return folder


def test_images_and_depth_are_turned_upright_and_cropped(official: Path) -> None:
    loaded = nyuv2(official, CROPPED_SIZE, {"image": 3, "depth": 1}, validation=0.4)
    assert [len(fields["image"]) for fields in loaded.values()] == [2, 1, 2]
    stored = content()
    upright = stored["images"][TEST[0] - 1].transpose(0, 2, 1)[:, CROP[0], CROP[1]]
    assert np.array_equal(loaded["test"]["image"][0], upright)
    assert np.allclose(loaded["test"]["depth"][1, 0], stored["depths"][TEST[1] - 1].T[CROP], rtol=1e-3)


@pytest.mark.parametrize(("classes", "mapped"), [(40, [255, 0, 1, 39, 4, 24]), (13, [255, 11, 4, 6, 3, 10])])
def test_labels_are_mapped_to_the_classes_that_are_learned(official: Path, classes: int, mapped: list[int]) -> None:
    loaded = nyuv2(official / "nyu_depth_v2_labeled.mat", CROPPED_SIZE, {"label": classes})["test"]
    raw = content()["labels"][TEST[0] - 1].T[CROP]
    assert np.array_equal(loaded["label"][0], np.array(mapped)[raw])


def test_normals_and_edges_are_derived(official: Path) -> None:
    loaded = nyuv2(official, (96, 128), {"normal": 3, "edge": 1})["test"]
    # depth grows to the right alone, as that of a wall on the left does, which looks to the right
    normal = loaded["normal"].float()
    assert float(normal[:, 0].min()) > 0.3
    assert float(normal[:, 1].abs().median()) < 0.3
    assert 0.05 < float(loaded["edge"].float().mean()) < 0.5


def test_without_labels_the_mapping_is_not_needed(official: Path, tmp_path: Path) -> None:
    folder = copied(official, tmp_path, "splits.mat")
    assert len(nyuv2(folder, (12, 16), {"depth": 1, "edge": 1})["test"]["depth"]) == 2
    with pytest.raises(MtlError, match=r"MTL601.*classMapping40.mat(.|\n)*https://"):
        nyuv2(folder, (12, 16), {"label": 13})


def test_without_the_split_an_error_says_where_it_is(official: Path, tmp_path: Path) -> None:
    folder = copied(official, tmp_path)
    with pytest.raises(MtlError, match=r"MTL601.*official split.*splits.mat(.|\n)*https://"):
        nyuv2(folder, (12, 16), {"depth": 1})


def test_a_split_of_another_data_set_is_an_error(official: Path, tmp_path: Path) -> None:
    folder = copied(official, tmp_path)
    write_matlab(folder / "splits.mat", trainNdxs=np.array([[1, 2]]), testNdxs=np.array([[1449]]))
    with pytest.raises(MtlError, match=r"MTL602.*names image 1449.*has 5"):
        nyuv2(folder, (12, 16), {"depth": 1})
    write_matlab(folder / "splits.mat", train=np.array([[1, 2]]))
    with pytest.raises(MtlError, match=r"MTL602.*no `trainNdxs`"):
        nyuv2(folder, (12, 16), {"depth": 1})


def test_a_file_cut_off_is_an_error_that_says_where_to_get_it(official: Path, tmp_path: Path) -> None:
    folder = copied(official, tmp_path, "splits.mat")
    (folder / "nyu_depth_v2_labeled.mat").write_bytes(b"half")
    with pytest.raises(MtlError, match=r"MTL602.*no whole HDF5 file(.|\n)*horatio.cs.nyu.edu"):
        nyuv2(folder, (12, 16), {"depth": 1})


def test_only_the_images_that_are_asked_for_are_read(official: Path) -> None:
    with open_recording(official) as recording:
        assert recording.train == ("0", "1", "3")
        assert recording.read("2", "image", 0).shape == (*CROPPED_SIZE, 3)


def test_without_h5py_an_error_names_the_extra(official: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MtlError, match=r"MTL601.*h5py(.|\n)*mtsldsl\[nyuv2\]"):
        nyuv2(official, (12, 16), {"depth": 1})


def test_depth_is_loaded_as_half_precision(official: Path) -> None:
    assert nyuv2(official, (12, 16), {"depth": 1})["test"]["depth"].dtype == torch.float16
