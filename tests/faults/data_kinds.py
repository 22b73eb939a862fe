"""Small data of every kind that is read from files, or by a person's own code, with a spec that learns it."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.runtime.data.matlab_files import write_matlab

ANSWER = "adaptive_avg_pool2d(1) | flatten | linear"
SPEC = """\
mtl 1

data {data} {{
  {keys}
  input = {input}
  batch = 4
}}

{tasks}

backbone {{
  stem = {stem}
}}

train {{
  epochs = 1
}}
"""
TASK = "task {name} {{\n  target = {target}\n  head   = {head}{more}\n}}"


def save(path: Path, arrays: Mapping[str, Any], write: Callable[..., None] = np.savez) -> None:
    """Arrays by name as an archive."""
    write(path, **arrays)


def spec(place: Path, data: str, keys: str, *tasks: tuple[str, str, str, str], image: str = "image(3, 8, 8)") -> None:
    """`job.mtl`, with tasks of a name, a target, a head and further lines."""
    written = "\n\n".join(
        TASK.format(name=name, target=target, head=head, more=f"\n  {more}" if more else "")
        for name, target, head, more in tasks
    )
    stem = "linear(4) | relu" if image.startswith("row") else "conv2d(4, 3) | relu"
    text = SPEC.format(data=data, keys=keys, input=image, tasks=written, stem=stem)
    (place / "job.mtl").write_text(text, encoding="utf-8")


def rows() -> dict[str, NDArray[np.generic]]:
    """Arrays of 40 samples."""
    chance = np.random.default_rng(0)
    return {
        "image": chance.integers(0, 256, (40, 3, 8, 8), dtype=np.uint8),
        "kind": np.arange(40) % 3,
        "light": chance.random((40, 1), dtype=np.float32),
    }


KIND = ("kind", "classes(3)", f"{ANSWER}(3)", "")
LIGHT = ("light", "values(1)", f"{ANSWER}(1)", "")


def arrays(place: Path, **changed: NDArray[np.generic]) -> Path:
    """`data.npz`."""
    spec(place, "arrays", 'path = "data.npz"', KIND, LIGHT)
    save(place / "data.npz", {**rows(), **changed}, np.savez_compressed)
    return place / "data.npz"


def npy_files(place: Path, **changed: NDArray[np.generic]) -> Path:
    """`data/image.npy` and so on."""
    spec(place, "arrays", 'path = "data"', KIND, LIGHT)
    (place / "data").mkdir()
    for name, array in {**rows(), **changed}.items():
        np.save(place / "data" / f"{name}.npy", array)
    return place / "data"


def arrays_apart(place: Path, **changed: NDArray[np.generic]) -> Path:
    """`data.npz`, with samples of its own for each task."""
    spec(place, "arrays", 'path = "data.npz"\n  apart = true', KIND, LIGHT)
    every = rows()
    own = {f"{name}/target": every[name] for name in ("kind", "light")}
    own |= {f"{name}/image": every["image"] for name in ("kind", "light")}
    own |= {name.replace("__", "/"): array for name, array in changed.items()}
    save(place / "data.npz", own)
    return place / "data.npz"


LINES = ["size,weight,kind,light", *(f"{n},{n % 7 + 1},{'abc'[n % 3]},{n / 40}" for n in range(40))]


def table(place: Path) -> Path:
    """`data.csv`."""
    tasks = (("kind", "classes(3)", "linear(3)", ""), ("light", "values(1)", "linear(1)", ""))
    spec(place, "table", 'path = "data.csv"\n  inputs = ["size", "weight"]', *tasks, image="row(2)")
    (place / "data.csv").write_text("\n".join(LINES) + "\n", encoding="utf-8")
    return place / "data.csv"


def parquet(place: Path) -> Path:
    """`data.parquet`."""
    import pyarrow as pa
    from pyarrow import parquet as files

    table(place).unlink()
    text = (place / "job.mtl").read_text(encoding="utf-8").replace("data.csv", "data.parquet")
    (place / "job.mtl").write_text(text, encoding="utf-8")
    names, *cells = (line.split(",") for line in LINES)
    files.write_table(
        pa.table(dict(zip(names, map(list, zip(*cells, strict=True)), strict=True))), place / "data.parquet"
    )
    return place / "data.parquet"


def png(array: NDArray[np.generic]) -> bytes:
    """A picture as a file has it."""
    content = io.BytesIO()
    Image.fromarray(array).save(content, "PNG")
    return content.getvalue()


def jpeg(array: NDArray[np.generic]) -> bytes:
    """The same, as JPEG."""
    content = io.BytesIO()
    Image.fromarray(array).save(content, "JPEG")
    return content.getvalue()


def pictures(place: Path) -> Path:
    """`data/images/00.png` and so on, with files of labels beside them, and `data/rows.csv`."""
    tasks = (
        KIND,
        ("depth", "values(1)", "conv2d(1, 1) | resize_as(image)", 'field = "depth/*.png"'),
        ("parts", "classes(4)", "conv2d(4, 1) | resize_as(image)", 'field = "parts/*.png"'),
        ("flow", "values(2)", "conv2d(2, 1) | resize_as(image)", 'field = "flow/*.npy"'),
    )
    keys = 'path = "data"\n  images = "images/*.png"\n  table = "rows.csv"\n  unit = 0.001'
    spec(place, "folder", keys, *tasks)
    chance = np.random.default_rng(0)
    for name in ("images", "depth", "parts", "flow"):
        (place / "data" / name).mkdir(parents=True)
    for number in range(20):
        stem = f"{number:02}"
        files: dict[str, NDArray[np.generic]] = {
            "images": chance.integers(0, 256, (8, 8, 3), dtype=np.uint8),
            "depth": chance.integers(500, 9000, (8, 8), dtype=np.uint16),
            "parts": chance.integers(0, 4, (8, 8), dtype=np.uint8),
        }
        for name, array in files.items():
            (place / "data" / name / f"{stem}.png").write_bytes(png(array))
        np.save(place / "data/flow" / f"{stem}.npy", chance.random((2, 8, 8), dtype=np.float32))
    lines = ["file,kind", *(f"images/{number:02}.png,{'abc'[number % 3]}" for number in range(20))]
    (place / "data/rows.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return place / "data"


OWN = """\
import numpy as np

class Own:
    def __len__(self):
        return 40

    def __getitem__(self, row):
        chance = np.random.default_rng(row)
        item = {"image": chance.integers(0, 256, (3, 8, 8), dtype=np.uint8), "kind": row % 3, "light": row / 40}
        BODY
        return item

def samples():
    return Own()
"""


def own_code(place: Path, body: str = "pass") -> Path:
    """`own.py`, whose item 7 may be another one."""
    spec(place, "python", 'factory = "own:samples"', KIND, LIGHT)
    (place / "own.py").write_text(OWN.replace("BODY", body), encoding="utf-8")
    return place / "own.py"


SCENE = (
    ("segment", "classes(13, ignore=255)", "conv2d(13, 1) | resize_as(image)", ""),
    ("depth", "values(1)", "conv2d(1, 1) | resize_as(image)", ""),
    ("edge", "binary(1)", "conv2d(1, 1) | resize_as(image)", ""),
)
NORMAL = ("normal", "unit_vectors(3)", "conv2d(3, 1) | resize_as(image)", "")


def scenes(place: Path, root: str) -> None:
    """The spec of NYUv2."""
    spec(place, "nyuv2", f'root = "{root}"', *SCENE, NORMAL, image="image(3, 24, 32)")


def scene_pictures() -> dict[str, bytes]:
    """NYUv2 as pictures."""
    lines = np.broadcast_to(np.arange(24, dtype=np.uint8)[:, None], (24, 32))
    files = {}
    for split, count in (("train", 8), ("val", 2)):
        for number in range(count):
            stem = f"{split}/{{}}/{number:04d}"
            files[stem.format("image") + ".jpg"] = jpeg(np.full((24, 32, 3), number * 5, dtype=np.uint8))
            files[stem.format("label") + ".png"] = png((lines // 8).astype(np.uint8))
            files[stem.format("label40") + ".png"] = png(np.where(lines < 12, 255, 38).astype(np.uint8))
            files[stem.format("depth") + ".png"] = png((200 - 4 * lines).astype(np.uint8))
    return files


def npy(array: NDArray[np.generic]) -> bytes:
    """An array as a file has it."""
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def scene_arrays() -> dict[str, bytes]:
    """NYUv2 as the preprocessed arrays."""
    chance = np.random.default_rng(0)
    files = {}
    for split, count in (("train", 8), ("val", 2)):
        for number in range(count):
            files[f"{split}/image/{number}.npy"] = npy(chance.random((24, 32, 3)))
            files[f"{split}/label/{number}.npy"] = npy(chance.integers(-1, 13, (24, 32)).astype(np.float64))
            files[f"{split}/depth/{number}.npy"] = npy(chance.random((24, 32, 1)) + 1)
            files[f"{split}/normal/{number}.npy"] = npy(np.broadcast_to([0.0, 0.0, 1.0], (24, 32, 3)))
    return files


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    """An archive of these files."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def scene_archive(place: Path, arrays: bool = False, **changed: bytes) -> Path:
    """`data.zip`."""
    scenes(place, "data.zip")
    return write_zip(place / "data.zip", {**(scene_arrays() if arrays else scene_pictures()), **changed})


def scene_folder(place: Path, arrays: bool = False, **changed: bytes) -> Path:
    """`data/train` and `data/val`."""
    scenes(place, "data")
    for name, content in {**(scene_arrays() if arrays else scene_pictures()), **changed}.items():
        (place / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (place / "data" / name).write_bytes(content)
    return place / "data"


def official_scenes(place: Path) -> Path:
    """`data/nyu_depth_v2_labeled.mat`, with what belongs to it."""
    scenes(place, "data")
    (place / "data").mkdir()
    chance = np.random.default_rng(0)
    arrays: dict[str, NDArray[np.generic]] = {
        "images": chance.integers(0, 256, (8, 3, 640, 480), dtype=np.uint8),
        "labels": chance.integers(0, 6, (8, 20, 15)).astype(np.uint16).repeat(32, axis=1).repeat(32, axis=2),
        "depths": np.linspace(1, 4, 640, dtype=np.float32)[None, :, None] * np.ones((8, 1, 480), np.float32),
    }
    with h5py.File(place / "data/nyu_depth_v2_labeled.mat", "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array, chunks=(1, *array.shape[1:]), compression="gzip")
    write_matlab(place / "data/splits.mat", trainNdxs=np.array([[1, 2, 4, 6, 7, 8]]).T, testNdxs=np.array([[3, 5]]).T)
    write_matlab(place / "data/classMapping40.mat", mapClass=np.array([[1, 2, 40, 5, 25]]))
    return place / "data"


ALPHABET = "Blackfoot_(Canadian_Aboriginal_Syllabics)"
READING = ("read", "classes(14)", f"{ANSWER}(14)", "field  = Blackfoot_Canadian_Aboriginal_Syllabics")
SHOWN = "image(1, 28, 28)"


def characters(place: Path) -> Path:
    """`data/images_background/...`: 280 drawings."""
    spec(place, "omniglot", 'root = "data"', READING, image=SHOWN)
    for number in range(280):
        path = place / f"data/images_background/{ALPHABET}/character{number // 20 + 1:02}/{number % 20 + 1:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        ink = np.full((28, 28), 255, np.uint8)
        ink[number // 20] = 0
        path.write_bytes(png(ink))
    return place / f"data/images_background/{ALPHABET}"


def packed_characters(place: Path, **changed: NDArray[np.generic]) -> Path:
    """`data/omniglot_28.npz`."""
    spec(place, "omniglot", 'root = "data"', READING, image=SHOWN)
    (place / "data").mkdir()
    numbers = np.arange(280)
    images = np.zeros((280, 28, 28), np.uint8)
    images[numbers, numbers // 20] = 255
    arrays: dict[str, NDArray[np.generic]] = {
        "images": images,
        "alphabet": np.zeros(280, np.uint8),
        "character": (numbers // 20).astype(np.uint8),
        "drawer": (numbers % 20 + 1).astype(np.uint8),
        "alphabet_names": np.array([ALPHABET]),
    }
    save(place / "data/omniglot_28.npz", {**arrays, **changed})
    return place / "data/omniglot_28.npz"


DIGIT = ("digit", "classes(10)", f"{ANSWER}(10)", "")


def digits(place: Path, kind: str = "mnist", **changed: NDArray[np.generic]) -> Path:
    """`data.npz`."""
    spec(place, kind, 'root = "data.npz"', DIGIT, image=SHOWN)
    images = np.random.default_rng(0).integers(0, 256, (60, 28, 28), dtype=np.uint8)
    classes = (np.arange(60) % 10).astype(np.uint8)
    arrays = {"x_train": images[:40], "y_train": classes[:40], "x_test": images[40:], "y_test": classes[40:]}
    save(place / "data.npz", {**arrays, **changed})
    return place / "data.npz"


def published_digits(place: Path, packed: bool = True) -> Path:
    """`data/train-images-idx3-ubyte.gz` and the three others."""
    digits(place)
    text = (place / "job.mtl").read_text(encoding="utf-8").replace("data.npz", "data")
    (place / "job.mtl").write_text(text, encoding="utf-8")
    (place / "data").mkdir()
    with np.load(place / "data.npz") as arrays:
        for split, name in (("train", "train"), ("test", "t10k")):
            for part, ending in (("x", "images-idx3-ubyte"), ("y", "labels-idx1-ubyte")):
                array = arrays[f"{part}_{split}"]
                head = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
                content = head + array.tobytes()
                path = place / "data" / f"{name}-{ending}{'.gz' if packed else ''}"
                path.write_bytes(gzip.compress(content) if packed else content)
    (place / "data.npz").unlink()
    return place / "data"


def pairs_of_digits(place: Path, kind: str = "multimnist", **changed: NDArray[np.generic]) -> Path:
    """`data.npz`, of which pairs are made."""
    path = digits(place, "mnist", **changed)
    tasks = (("left", "classes(10)", f"{ANSWER}(10)", ""), ("right", "classes(10)", f"{ANSWER}(10)", ""))
    spec(place, kind, 'root = "data.npz"\n  images = 70', *tasks, image="image(1, 36, 36)")
    return path
