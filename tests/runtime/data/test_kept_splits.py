"""Samples that are kept between processes: the same to the bit, for the very same thing alone, never when damaged."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from safetensors.torch import load, save

from mtsldsl.ir.model import Spec
from mtsldsl.ir.task_record import Target
from mtsldsl.language.constants import Constant
from mtsldsl.runtime.data import Splits, kept_splits, load_data
from mtsldsl.runtime.data.kept_splits import Fields
from mtsldsl.syntax.kept import read_private, write_private
from tests import prepared
from tests.laws import law
from tests.runtime.data.factories import dense_tasks, spec, task
from tests.runtime.data.test_labeled_mat import write_official
from tests.runtime.data.test_nyuv2 import array_files, image_files, write_folder, write_zip

ROOT = Path(__file__).parents[3]
SIZE = (12, 16)

FIXED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
"""The fixtures hold for all examples."""

posix = pytest.mark.skipif(os.name != "posix", reason="links, pipes, owners and modes are POSIX")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own for what is kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "mtsldsl"


def kept(home: Path) -> list[Path]:
    return sorted(home.glob("data-*"))


def nyuv2(place: Path, size: tuple[int, int] = SIZE, classes: int = 13, **options: Constant) -> Spec:
    return spec("nyuv2", dense_tasks(classes, size), (3, *size), root=str(place), **options)


def rooms(**options: Constant) -> Spec:
    return spec("scenes", dense_tasks(5, SIZE), (3, *SIZE), **{"images": 20, **options})


def told(splits: Splits) -> list[object]:
    """All that there is to samples: names in their order, kinds, types, shapes, strides and bytes."""
    return [
        (split, name, samples.layout[name], tensor.dtype, tensor.shape, tensor.stride(), tensor.numpy().tobytes())
        for split, samples in splits.named()
        for name, tensor in samples.fields.items()
    ]


def plant(file: Path) -> None:
    """Put other values into a kept file, as if they had been decoded: whoever reads it can be told by them."""
    content = read_private(file)
    assert content is not None
    write_private(file, save({name: torch.ones_like(tensor) for name, tensor in load(content).items()}))


def reads(home: Path, wanted: Spec, cache: bool = True) -> bool:
    """Whether the one file that is kept is what the samples come from."""
    (file,) = kept(home)
    whole = file.read_bytes()
    plant(file)
    planted = bool((load_data(wanted, cache=cache).train.fields["image"] == 1).all())
    file.write_bytes(whole)
    return planted


SOURCES: dict[str, Callable[[Path], Path]] = {
    "archive": lambda place: write_zip(place / "nyu.zip", image_files(prefix="copy/")),
    "images": lambda place: write_folder(place / "images", image_files()),
    "arrays": lambda place: write_folder(place / "arrays", array_files()),
    "official": write_official,
}


@pytest.mark.parametrize("source", SOURCES)
def test_what_was_decoded_is_read_back_to_the_bit(source: str, home: Path, tmp_path: Path) -> None:
    wanted = nyuv2(SOURCES[source](tmp_path), validation=0.4)
    decoded = load_data(wanted, cache=False)
    assert kept(home) == []
    assert told(load_data(wanted)) == told(decoded)
    assert told(load_data(wanted)) == told(decoded)
    assert reads(home, wanted)
    assert not reads(home, wanted, cache=False)


def test_what_was_rendered_is_read_back_to_the_bit(home: Path) -> None:
    rendered = load_data(rooms(), cache=False)
    assert kept(home) == []
    assert told(load_data(rooms())) == told(rendered)
    assert told(load_data(rooms())) == told(rendered)
    assert reads(home, rooms())


dtypes = st.sampled_from([torch.uint8, torch.int16, torch.int64, torch.float16, torch.float32, torch.bool])
names = st.text("abz_", min_size=1, max_size=4)
tensors = st.builds(
    lambda shape, dtype, seed: torch.randint(
        0, 200, shape, generator=torch.Generator().manual_seed(seed), dtype=torch.int64
    ).to(dtype),
    st.lists(st.integers(0, 3), max_size=4).map(tuple),
    dtypes,
    st.integers(0, 99),
)


@law(100, suppress_health_check=FIXED)
@given(made=st.dictionaries(names, st.dictionaries(names, tensors, min_size=1, max_size=4), max_size=3))
def test_any_fields_are_read_back_as_they_were_made(made: Fields, home: Path) -> None:
    shutil.rmtree(home, ignore_errors=True)
    calls: list[None] = []

    def make() -> Fields:
        calls.append(None)
        return made

    for _ in range(2):
        found = kept_splits.kept_splits(("any",), make)
        assert [(split, list(fields)) for split, fields in found.items()] == [
            (split, list(fields)) for split, fields in made.items()
        ]
        for split, fields in made.items():
            for name, tensor in fields.items():
                assert found[split][name].dtype == tensor.dtype
                assert torch.equal(found[split][name], tensor)
    assert len(calls) == 1


def cut(file: Path, part: float) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * part)])


def replaced_by(make: Callable[[Path], object]) -> Callable[[Path], None]:
    def damage(file: Path) -> None:
        file.rename(file.with_name("elsewhere"))
        make(file)

    return damage


DAMAGE: dict[str, Callable[[Path], object]] = {
    **{f"cut to {part}": lambda file, part=part: cut(file, part) for part in (0, 0.001, 0.01, 0.5, 0.9999)},
    "more at its end": lambda file: file.write_bytes(file.read_bytes() + b"\0"),
    "something else": lambda file: file.write_bytes(b"something else" * 99),
    "no tensors behind a right digest": lambda file: write_private(file, b"something else" * 99),
    "nothing behind a right digest": lambda file: write_private(file, b""),
}
if os.name == "posix":
    DAMAGE |= {
        "others may write to it": lambda file: (plant(file), file.chmod(0o666)),
        "a link to nowhere": replaced_by(lambda file: file.symlink_to("nowhere")),
        "a link to itself": replaced_by(lambda file: file.symlink_to(file.name)),
        "a link to a whole file": replaced_by(lambda file: file.symlink_to("elsewhere")),
        "a pipe": replaced_by(os.mkfifo),
    }


@pytest.fixture
def decoded(home: Path, tmp_path: Path) -> tuple[Spec, list[object], Path]:
    """A spec whose samples are kept, what they are, and the file."""
    wanted = nyuv2(write_zip(tmp_path / "nyu.zip", image_files(6, 2)))
    found = told(load_data(wanted))
    (file,) = kept(home)
    return wanted, found, file


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_decoded_anew_and_replaced(
    damage: str, decoded: tuple[Spec, list[object], Path], home: Path
) -> None:
    wanted, found, file = decoded
    whole = file.read_bytes()
    DAMAGE[damage](file)
    assert told(load_data(wanted)) == found
    assert not file.is_symlink()
    assert file.read_bytes() == whole
    assert told(load_data(wanted)) == found


@pytest.mark.parametrize("inside", [False, True])
def test_a_folder_in_its_place_stays(inside: bool, decoded: tuple[Spec, list[object], Path]) -> None:
    wanted, found, file = decoded
    file.unlink()
    file.mkdir()
    if inside:
        (file / "mine").touch()
    assert told(load_data(wanted)) == found
    assert file.is_dir()
    assert sorted(file.parent.iterdir()) == [file]


@law(40, suppress_health_check=FIXED)
@given(data=st.data())
def test_one_flipped_bit_anywhere_is_noticed(
    data: st.DataObject, decoded: tuple[Spec, list[object], Path], home: Path
) -> None:
    wanted, found, file = decoded
    whole = file.read_bytes()
    header = 40 + int.from_bytes(whole[32:40], "little")
    part = data.draw(st.sampled_from([(0, 31), (32, 39), (40, header - 1), (header, len(whole) - 1)]))
    place, bit = data.draw(st.integers(*part)), data.draw(st.integers(0, 7))
    flipped = bytearray(whole)
    flipped[place] ^= 1 << bit
    file.write_bytes(flipped)
    assert read_private(file) is None
    assert told(load_data(wanted)) == found
    assert file.read_bytes() == whole


def test_a_file_that_was_kept_of_something_else_is_not_taken(
    decoded: tuple[Spec, list[object], Path], home: Path
) -> None:
    wanted, found, file = decoded
    load_data(nyuv2(Path(str(wanted.data.options["root"])), seed=5))
    (other,) = {*kept(home)} - {file}
    shutil.copy(other, file)
    assert told(load_data(wanted)) == found


def other_archive() -> dict[str, bytes]:
    """Images of which one has other colours and no other length."""
    files = image_files(6, 2)
    first, second = "train/image/0000.jpg", "train/image/0001.jpg"
    return files | {first: files[second], second: files[first]}


@pytest.mark.parametrize("way", ["in its place", "written over", "linked"])
def test_an_archive_of_the_same_size_and_time_is_told(way: str, home: Path, tmp_path: Path) -> None:
    place = write_zip(tmp_path / "nyu.zip", image_files(6, 2))
    linked = tmp_path / "link.zip"
    linked.symlink_to(place)
    wanted = nyuv2(linked)
    before, stamp = told(load_data(wanted)), place.stat()
    new = write_zip(tmp_path / "new.zip", other_archive())
    assert new.stat().st_size == stamp.st_size
    os.utime(new, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    if way == "in its place":
        new.replace(place)
    elif way == "written over":
        place.write_bytes(new.read_bytes())
        os.utime(place, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    else:
        linked.unlink()
        linked.symlink_to(new)
    assert (linked.stat().st_size, linked.stat().st_mtime_ns) == (stamp.st_size, stamp.st_mtime_ns)
    after = told(load_data(wanted))
    assert after != before
    assert after == told(load_data(wanted, cache=False))


def test_a_file_of_a_folder_that_is_replaced_added_or_removed_is_told(home: Path, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "nyu", image_files(8, 2))
    wanted = nyuv2(folder)
    seen = [told(load_data(wanted))]
    for change in (
        lambda: shutil.copy(folder / "val/image/0001.jpg", folder / "val/image/0000.jpg"),
        lambda: [path.rename(path.with_name(f"0009{path.suffix}")) for path in folder.glob("val/*/0001.*")],
        lambda: [path.unlink() for path in folder.glob("train/*/0003.*")],
        lambda: write_folder(folder, {name: data for name, data in image_files().items() if "0017" in name}),
    ):
        change()
        now = told(load_data(wanted))
        assert now == told(load_data(wanted, cache=False))
        seen.append(now)
    assert len(kept(home)) == 5


def test_the_companions_of_the_official_file_are_told(home: Path, tmp_path: Path) -> None:
    wanted = nyuv2(write_official(tmp_path), validation=0.4)
    load_data(wanted)
    (tmp_path / "classMapping40.mat").touch()
    load_data(wanted)
    assert len(kept(home)) == 2


def test_an_archive_is_the_same_by_whatever_path(home: Path, tmp_path: Path) -> None:
    write_zip(tmp_path / "nyu.zip", image_files(6, 2))
    (tmp_path / "link").symlink_to(tmp_path)
    for place in (tmp_path / "nyu.zip", tmp_path, tmp_path / "link" / "nyu.zip"):
        load_data(nyuv2(place))
    assert len(kept(home)) == 1


def test_other_settings_are_kept_apart(home: Path, tmp_path: Path) -> None:
    place = write_zip(tmp_path / "nyu.zip", image_files(6, 2))
    wanted = [
        nyuv2(place),
        nyuv2(place, (6, 8)),
        nyuv2(place, classes=40),
        nyuv2(place, seed=1),
        nyuv2(place, validation=0.3),
        spec("nyuv2", (task("far", Target("values", 1), "depth"),), (3, *SIZE), root=str(place)),
        rooms(),
        rooms(seed=1),
        rooms(images=24),
        rooms(test=0.4),
    ]
    for _ in range(2):
        assert all(told(load_data(each)) == told(load_data(each, cache=False)) for each in wanted)
        assert len(kept(home)) == len(wanted)


def test_what_a_task_ignores_and_the_name_of_the_input_are_no_other_samples(home: Path, tmp_path: Path) -> None:
    place = write_zip(tmp_path / "nyu.zip", image_files(6, 2))
    for ignore, name in ((255, "image"), (-1, "image"), (255, "view")):
        tasks = (task("segment", Target("classes", 40, ignore), "label"),)
        wanted = spec("nyuv2", tasks, (3, *SIZE), input_name=name, root=str(place))
        assert told(load_data(wanted)) == told(load_data(wanted, cache=False))
    assert len(kept(home)) == 1


def test_other_numbers_of_threads_and_precisions_are_kept_apart(home: Path) -> None:
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    try:
        load_data(rooms())
        torch.set_num_threads(threads + 1)
        load_data(rooms())
        torch.set_float32_matmul_precision("medium")
        load_data(rooms())
    finally:
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision(precision)
    assert len(kept(home)) == 3


PROGRAM = """\
from mtsldsl.editing import loads
from mtsldsl.runtime.data import load_data
from tests.laws import law
import sys
load_data(loads(sys.stdin.read()))
"""

TEXT = """\
mtl 1
data nyuv2 {{
  root  = "{place}"
  input = image(3, 12, 16)
  batch = 2
}}
task normal {{
  target = unit_vectors(3)
  head   = conv2d(3, 1) | resize_as(image)
}}
task segment {{
  target = classes(13, ignore=255)
  head   = conv2d(13, 1) | resize_as(image)
}}
backbone {{
  stem = conv2d(4, 3) | batch_norm | relu
}}
train {{
  epochs = 2
}}
"""


def process(text: str, package: Path = ROOT) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM]
    started = subprocess.Popen(command, cwd=package, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert started.stdin is not None
    started.stdin.write(text)
    started.stdin.close()
    started.stdin = None
    return started


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package."""
    place = tmp_path / "package"
    shutil.copytree(ROOT / "mtsldsl", place / "mtsldsl", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "grammars", place / "grammars")
    return place


def edit(module: Path) -> None:
    with module.open("a", encoding="utf-8") as source:
        source.write("\n# another version\n")


@pytest.mark.soak
def test_another_version_of_the_code_reads_nothing_of_this_one(home: Path, package: Path, tmp_path: Path) -> None:
    text = TEXT.format(place=write_zip(tmp_path / "nyu.zip", image_files(6, 2)))
    for number in (1, 2):
        assert process(text, package).communicate()[1] == ""
        assert len(kept(home)) == number
        edit(package / "mtsldsl" / "runtime" / "data" / "geometry.py")


def test_the_code_is_that_of_all_modules_that_take_part(package: Path) -> None:
    digest, place = kept_splits.source_digest, package / "mtsldsl"
    seen = [digest(place)]
    assert seen == [digest(ROOT / "mtsldsl")]
    modules = [name for name in sys.modules if name.startswith(("mtsldsl.datasets", "mtsldsl.runtime.data"))]
    paths = [Path(str(sys.modules[name].__file__)).relative_to(ROOT / "mtsldsl") for name in modules]
    assert Path("datasets/nyuv2/matlab.py") in paths
    for path in paths:
        edit(place / path)
        seen.append(digest(place))
    assert len(set(seen)) == len(paths) + 1
    edit(place / "cli" / "train.py")
    assert digest(place) == seen[-1]
    (place / "datasets" / "kind.py").rename(place / "datasets" / "kinds.py")
    assert digest(place) not in seen


def test_without_its_source_nothing_is_kept(package: Path) -> None:
    assert kept_splits.source_digest(package / "nowhere") is None


@pytest.mark.soak
def test_two_processes_at_once_keep_one_whole_file(home: Path, tmp_path: Path) -> None:
    text = TEXT.format(place=write_zip(tmp_path / "nyu.zip", image_files(50, 20)))
    both = [process(text), process(text)]
    assert [each.communicate()[1] for each in both] == ["", ""]
    assert [each.returncode for each in both] == [0, 0]
    (file,) = kept(home)
    assert read_private(file) is not None
    assert not list(home.glob(".data-*"))


def test_what_is_written_to_while_it_is_read_is_not_kept(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "numbers"
    file.write_bytes(b"before")

    def make() -> Fields:
        file.write_bytes(b"after it")
        return {"train": {"image": torch.zeros(1)}}

    kept_splits.kept_splits(("numbers",), make, lambda: {"numbers": file})
    assert kept(home) == []


def test_nothing_is_kept_when_told_so(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTSLDSL_NO_CACHE", "1")
    load_data(rooms())
    assert kept(home) == []


@posix
def test_a_folder_that_others_may_write_to_is_not_used(home: Path) -> None:
    home.mkdir(parents=True)
    home.chmod(0o777)
    load_data(rooms())
    assert kept(home) == []


def test_a_place_that_cannot_be_made_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(load_data(rooms()).train) == 14


def test_a_full_disk_is_no_error(home: Path) -> None:
    """Files of more than 20 kB are not taken."""
    program = (
        "import resource, signal, sys\n"
        "sys.dont_write_bytecode = True  # it would be cut off, and stay so\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "from tests.runtime.data.test_kept_splits import load_data, rooms\n"
        "assert len(load_data(rooms()).train) == 14\n"
    )
    done = prepared.run("-c", program, cwd=ROOT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [path for path in home.iterdir() if "data" in path.name] == []


def test_those_used_last_are_kept_and_no_more(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_splits, "MOST_FILES", 3)
    home.mkdir(parents=True, mode=0o700)
    others = [home / "data-mine", home / "grammar-2-000000000000000000000000", home / "notes"]
    for path in others:
        path.touch()
    files: list[Path] = []
    for seed in range(3):
        load_data(rooms(seed=seed))
        (new,) = {*kept(home)} - {*files, *others}
        os.utime(new, ns=(0, (seed + 1) * 10**9))
        files.append(new)
    load_data(rooms(seed=0))  # which makes the second the oldest
    load_data(rooms(seed=3))
    assert [path.exists() for path in files] == [True, False, True]
    assert all(path.exists() for path in others)
    assert len(kept(home)) == 4  # with the person's own


def test_no_more_bytes_are_kept_than_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load_data(rooms())
    (file,) = kept(home)
    length = file.stat().st_size
    os.utime(file, ns=(0, 10**9))
    monkeypatch.setattr(kept_splits, "MOST_BYTES", length + length // 2)
    load_data(rooms(seed=1))
    assert len(kept(home)) == 1
    assert not file.exists()
    monkeypatch.setattr(kept_splits, "MOST_BYTES", length // 2)
    load_data(rooms(seed=2))
    assert len(kept(home)) == 1


def test_what_killed_processes_left_half_written_goes(home: Path) -> None:
    home.mkdir(parents=True, mode=0o700)
    left, fresh = (home / f".data-2-{'0' * 24}.{'0' * 7}{number}" for number in (1, 2))
    for path in (left, fresh):
        path.touch()
    os.utime(left, (time.time() - 7200,) * 2)
    load_data(rooms())
    assert (left.exists(), fresh.exists()) == (False, True)
