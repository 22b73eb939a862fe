"""Folders of `.npy` files: the samples stay on disk, and everything is as with an `.npz` file of the same arrays."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mtsldsl.diagnostics import MtlError
from mtsldsl.editing import load, loads
from mtsldsl.ir.normal import normal_form
from mtsldsl.ir.task_record import Target, Task
from mtsldsl.runtime.data import Samples, batches, describe, load_data
from mtsldsl.runtime.data.joined import joined
from mtsldsl.runtime.data.overview import overview
from mtsldsl.runtime.data.read_samples import ReadSamples
from mtsldsl.runtime.objectives.constant import constant_metrics
from mtsldsl.runtime.run.data_record import record_of_data
from tests import prepared
from tests.runtime.data.factories import spec, task

SPEC = """\
mtl 1
data arrays {{
  path  = "{path}"
  input = image(2, 4, 6)
  batch = 8
  {more}
}}
task kind  {{ target = classes(3, ignore=9)
             head = flatten | linear(3) }}
task seen  {{ target = binary(1)
             head = flatten | linear(1) }}
task price {{ target = values(2, scale=standard, valid=positive)
             head = flatten | linear(2) }}
task way   {{ target = unit_vectors(3)
             head = flatten | linear(3) }}
task depth {{ target = values(1)
             head = conv2d(1, 1) }}
task back  {{ target = reconstruct
             head = conv2d(2, 1) }}
backbone {{ stem = conv2d(4, 3) | relu }}
train {{ epochs = 2 }}
"""


def arrays(count: int, image: str = "u1") -> dict[str, np.ndarray]:
    random = np.random.default_rng(count)
    kind = random.integers(0, 3, count).astype("f4")
    kind[::5] = np.nan
    pixels = random.random((count, 2, 4, 6)) if image in ("f2", "f8") else random.integers(0, 60000, (count, 2, 4, 6))
    return {
        "image": pixels.astype(image),
        "kind": kind,
        "seen": random.integers(0, 2, count).astype(bool),
        "price": random.normal(5, 9, (count, 2)),
        "way": random.normal(size=(count, 3)),
        "depth": random.random((count, 4, 6)).astype("f2"),
    }


def saved(folder: Path, given: dict[str, np.ndarray]) -> dict[str, Path]:
    """The arrays as an `.npz` file and as a folder of `.npy` files."""
    np.savez(folder / "a.npz", **given)
    for name, array in given.items():
        file = folder / "a" / f"{name}.npy"
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, array)
    return {"memory": folder / "a.npz", "disk": folder / "a"}


def same(first: Any, second: Any) -> bool:
    """Whether the fields are the same to the bit, also where they are no numbers."""
    assert list(first) == list(second)
    return all(_bits(first[name]) == _bits(second[name]) for name in first)


def _bits(values: torch.Tensor) -> tuple[torch.dtype, torch.Size, bytes]:
    return values.dtype, values.shape, values.contiguous().numpy().tobytes()


@pytest.mark.parametrize(
    ("image", "parted"), [("u1", False), ("u2", True), ("f2", True), ("f8", False), (">u2", False)]
)
def test_all_that_is_computed_of_them_is_the_same_to_the_bit(tmp_path: Path, image: str, parted: bool) -> None:
    splits = {"train/": 150, "test/": 20} if parted else {"": 170}
    given = {f"{split}{name}": each for split, n in splits.items() for name, each in arrays(n, image).items()}
    found, specs = {}, {}
    for place, path in saved(tmp_path, given).items():
        file = tmp_path / f"{place}.mtl"
        file.write_text(SPEC.format(path=path, more=""), encoding="utf-8")
        specs[place] = load(file)
        found[place] = load_data(specs[place])
    memory, disk = found["memory"], found["disk"]
    assert isinstance(disk.train, ReadSamples)
    assert not isinstance(memory.train, ReadSamples)
    for (_, own), (_, other) in zip(memory.named(), disk.named(), strict=True):
        assert len(own) == len(other)
        options: dict[str, Any] = {"seed": 3, "epoch": 2, "shuffle": True}
        pairs = list(zip(batches(own, 8, **options), batches(other, 8, **options), strict=True))
        assert pairs
        assert all(same(*pair) for pair in pairs)
        assert same(own.fields, other.fields)
        chosen = torch.tensor([3, 0, 3])
        assert same(own.take(chosen).take(chosen[1:2]).fields, other.take(chosen).take(chosen[1:2]).fields)
        assert same(own.only("depth").fields, other.only("depth").fields)
    assert memory.train.scales == disk.train.scales
    assert memory.remarks == tuple(remark.replace("/a`", "/a.npz`") for remark in disk.remarks)
    described = [describe(specs[place], found[place]) for place in found]
    assert described[0] == described[1]
    seen = [overview(specs[place], found[place]) for place in found]
    assert seen[0] == seen[1]
    floors = [str(constant_metrics(specs[place].tasks, found[place].validation)) for place in found]
    assert floors[0] == floors[1]
    records = [record_of_data(specs[place], found[place]) for place in found]
    assert records[0]["sha256"] == records[1]["sha256"]
    assert records[0]["input"] == records[1]["input"]


def test_samples_of_several_sources_are_joined_without_being_read(tmp_path: Path) -> None:
    other = Samples({"image": torch.rand(5, 2, 4, 6)}, {"image": load_on_disk(tmp_path, 20).layout["image"]})
    parts = [load_on_disk(tmp_path, 20).only("image"), other]
    found = joined(parts)
    assert isinstance(found, ReadSamples)
    whole = joined([part.to("cpu") for part in parts])
    assert torch.equal(found.fields["image"], whole.fields["image"])
    order = torch.tensor([16, 2, 18, 0])
    assert torch.equal(found.take(order).fields["image"], whole.take(order).fields["image"])


def load_on_disk(folder: Path, count: int) -> Samples:
    age = task("age", Target("values", 1), dense=False)
    image = np.random.default_rng(1).integers(0, 256, (count, 2, 4, 6)).astype(np.uint8)
    path = saved(folder, {"image": image, "age": np.arange(count)})["disk"]
    samples = load_data(spec("arrays", (age,), (2, 4, 6), path=str(path))).train
    assert isinstance(samples, Samples)
    return samples


def test_a_pipe_among_the_arrays_is_none_and_not_waited_for(tmp_path: Path) -> None:
    np.save(tmp_path / "row.npy", np.zeros((20, 2), np.float32))
    os.mkfifo(tmp_path / "kind.npy")
    tasks = (task("kind", Target("classes", 3), dense=False),)
    with pytest.raises(MtlError, match=r"has no array `kind`"):
        load_data(spec("arrays", tasks, (2,), input_name="row", path=str(tmp_path)))


def test_each_field_may_have_samples_of_its_own(tmp_path: Path) -> None:
    given = {"kind/image": arrays(30)["image"], "kind/target": np.arange(30) % 3}
    given |= {"age/image": arrays(20)["image"], "age/target": np.arange(20.0)}
    tasks = tuple(
        task(name, Target(kind, n), dense=False) for name, kind, n in [("kind", "classes", 3), ("age", "values", 1)]
    )
    found = {
        place: load_data(spec("arrays", tasks, (2, 4, 6), path=str(path), apart=True))
        for place, path in saved(tmp_path, given).items()
    }
    for name in ("kind", "age"):
        own, other = (found[place].train.of_task(name) for place in ("memory", "disk"))
        assert same(own.fields, other.fields)


KIND = task("kind", Target("classes", 3), dense=False)


@pytest.mark.parametrize(
    ("change", "code", "cause"),
    [
        ({"image": np.full((9, 2, 4, 6), np.nan)}, "MTL602", "row 0 (from 0) of `image` of"),
        ({"image": np.zeros((9, 4, 6, 2), "u1")}, "MTL602", "a sample of `image` of"),
        ({"kind": np.arange(9)}, "MTL602", "the target of `kind`: row 3 (from 0) of `kind` of"),
        ({"kind": np.array(["a"] * 9)}, "MTL602", "`kind` of"),
        ({"kind": np.arange(8) % 3}, "MTL602", "differ in length: `image` 9, `kind` 8"),
        (
            {"kind": np.array([None] * 9)},
            "MTL602",
            "is no array of numbers: it holds objects, as samples of several lengths",
        ),
        ({"kind": None}, "MTL603", "has no array `kind`"),
    ],
)
def test_what_does_not_fit_is_said_as_of_a_file(
    tmp_path: Path, change: dict[str, np.ndarray | None], code: str, cause: str
) -> None:
    given = {"image": np.zeros((9, 2, 4, 6), np.uint8), "kind": np.arange(9) % 3, **change}
    said = []
    for path in saved(tmp_path, {name: array for name, array in given.items() if array is not None}).values():
        with pytest.raises(MtlError) as caught:
            load_data(spec("arrays", (KIND,), (2, 4, 6), path=str(path)))
        (found,) = caught.value.diagnostics
        assert found.code == code
        assert cause in found.cause
        said.append((found.cause.replace("/a.npz`", "/a`"), found.remedy))
    assert said[0] == said[1]


def test_the_hash_of_a_spec_that_says_nothing_of_errors_is_what_it_was_before_there_was_such_a_key() -> None:
    for more, known in (("", False), ("on_error = raise", False), ("on_error = skip", True)):
        form = normal_form(loads(SPEC.format(path="a.npz", more=more)))
        assert ("on_error" in form["data"]["options"]) is known


def test_rows_that_do_not_fit_are_left_out_and_counted_where_the_spec_says_so(tmp_path: Path) -> None:
    count = 40
    given = {"image": np.arange(count * 48.0).reshape(count, 2, 4, 6), "kind": np.arange(count) % 3.0}
    given |= {"seen": np.arange(count) % 2, "price": np.arange(count * 1.0)}
    given["image"][3, 1, 2, 2], given["image"][30, 0, 0, 0] = np.inf, 1e300
    given["kind"][[3, 5, 6]] = 7, 0.5, np.nan  # the last is no label, which is no mistake
    given["seen"][8], given["price"][39] = 2, 1e300
    tasks = (KIND, task("seen", Target("binary", 1), dense=False), task("price", Target("values", 1), dense=False))
    for path in saved(tmp_path, given).values():
        splits = load_data(spec("arrays", tasks, (2, 4, 6), path=str(path), on_error="skip"))
        parts = [samples for _, samples in splits.named()]
        prices = torch.cat([samples.fields["price"] for samples in parts])
        assert sorted(prices[:, 0].tolist()) == [n for n in range(count) if n not in (3, 5, 8, 30, 39)]
        first = torch.cat([samples.fields["image"] for samples in parts])[:, 0, 0, 0]
        assert torch.equal(first, prices[:, 0] * 48)
        (remark,) = (remark for remark in splits.remarks if "left out" in remark)
        assert f"5 of 40 samples of `{path}` are left out" in remark
        assert "`row 3 (from 0)`, `row 5 (from 0)`" in remark
        assert "which is an input, holds inf" in remark
        with pytest.raises(MtlError, match="MTL602"):
            load_data(spec("arrays", tasks, (2, 4, 6), path=str(path)))


@pytest.mark.parametrize(("name", "content"), [("image.txt", b"1"), ("image.npy", b"\x93NUMPY\x01"), ("kind.npy", b"")])
def test_a_folder_without_arrays_and_a_broken_file_are_told(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / "a").mkdir()
    np.save(tmp_path / "b.npy", np.zeros((9, 2, 4, 6), np.uint8))
    if name == "kind.npy":
        np.save(tmp_path / "a" / "image.npy", np.zeros((9, 2, 4, 6), np.uint8))
    (tmp_path / "a" / name).write_bytes(content)
    with pytest.raises(MtlError, match=r"MTL60[23]"):
        load_data(spec("arrays", (KIND,), (2, 4, 6), path=str(tmp_path / "a")))


SIZE, COUNT = (3, 64, 64), 8000


def large(folder: Path) -> int:
    """A folder of arrays of so many bytes, of which the disk keeps no zeros."""
    folder.mkdir()
    image = np.lib.format.open_memmap(folder / "image.npy", mode="w+", dtype="u1", shape=(COUNT, *SIZE))
    image[::7, :, 5] = np.arange(64)
    np.save(folder / "kind.npy", np.arange(COUNT) % 3)
    return image.nbytes


def test_what_is_loaded_counted_and_gone_through_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    size = large(tmp_path / "a")
    tasks: tuple[Task, ...] = (KIND,)
    job = spec("arrays", tasks, SIZE, path=str(tmp_path / "a"))
    tracemalloc.start()
    try:
        splits = load_data(job)
        describe(job, splits)
        record_of_data(job, splits)
        assert sum(len(batch["image"]) for batch in batches(splits.train, 64, shuffle=True)) == len(splits.train)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        splits.test.to("cpu")  # which does take its memory, so that what is measured is memory
        _, taken = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < size / 4
    assert taken < size


LIMITED = """\
import resource, sys
from pathlib import Path
from mtsldsl.cli import main
kib = next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if "VmData" in line)
limit = kib * 1024 + int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
main(["train", "--quiet", "--device", "cpu", "--threads", "1", sys.argv[2]], prog_name="mtsldsl")
"""

JOB = """\
mtl 1
data arrays {{ path = "{path}"
  input = image(3, 64, 64)
  batch = 64
}}
task kind {{ target = classes(3)
  head = linear(3) }}
backbone {{ stem = max_pool2d(8) | flatten | linear(4) }}
train {{ epochs = 1 }}
"""


@pytest.mark.soak
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="it needs Linux to limit a process")
def test_a_run_trains_on_data_larger_than_the_memory_it_may_have(tmp_path: Path) -> None:
    size = large(tmp_path / "a")
    for place in ("a", "a.npz"):
        (tmp_path / f"{place}.mtl").write_text(JOB.format(path=place), encoding="utf-8")
    limit = str(size * 2 // 3)
    limited = prepared.run("-c", LIMITED, limit, "a.mtl", cwd=tmp_path)
    assert limited.returncode == 0, limited.stderr
    np.savez(tmp_path / "a.npz", **{name: np.load(tmp_path / "a" / f"{name}.npy") for name in ("image", "kind")})
    in_memory = prepared.run("-c", LIMITED, limit, "a.npz.mtl", cwd=tmp_path)
    assert in_memory.returncode != 0  # so that the limit is one
    free = prepared.run("-c", LIMITED, str(size * 50), "a.npz.mtl", cwd=tmp_path)
    assert free.returncode == 0, free.stderr
    runs = [max((tmp_path / "runs" / name).iterdir(), key=lambda path: path.name) for name in ("a", "a.npz")]
    weights = [next(run.glob("best/**/*.safetensors")).read_bytes() for run in runs]
    assert weights[0] == weights[1]
