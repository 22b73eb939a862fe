from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from mtsldsl.datasets.omniglot.language import CHARACTERS, KIND, OFFICIAL, spelt
from mtsldsl.datasets.omniglot.load import load
from mtsldsl.diagnostics import MtlError
from mtsldsl.ir.task_record import Target, Task
from mtsldsl.language.constants import Constant, Shape
from mtsldsl.runtime.data import FieldKind, Samples, Splits, batches
from mtsldsl.runtime.data.demand import Part
from tests.given import DATA, needs_data
from tests.records import data_of
from tests.runtime.data.factories import task

ROOT = DATA / "omniglot"
BLACKFOOT = "Blackfoot_(Canadian_Aboriginal_Syllabics)"
OJIBWE = "Ojibwe_(Canadian_Aboriginal_Syllabics)"
TINY = (BLACKFOOT, OJIBWE)
"""Alphabets with 14 characters, the fewest."""


def reading(alphabet: str, name: str | None = None) -> Task:
    """A task that reads an alphabet, by its name or else by its field."""
    return task(name or spelt(alphabet), Target("classes", CHARACTERS[alphabet]), spelt(alphabet), dense=False)


def loaded(
    root: Path, *tasks: Task, shape: Shape = (1, 28, 28), cache: bool = False, **options: Constant
) -> dict[str, Splits[Samples]]:
    return load(Part(data_of("omniglot", "image", shape, 2, root=str(root), **options), tasks), root, cache)


def made_up(count: int = 14, alphabet: int = 0) -> NDArray[np.uint8]:
    """Drawings of so many characters: the first pixel is the character, the second the drawer, the third the alphabet."""
    drawings = np.zeros((count, 20, 28, 28), dtype=np.uint8)
    drawings[:, :, 0, 0] = np.arange(count)[:, None]
    drawings[:, :, 0, 1] = np.arange(1, 21)
    drawings[:, :, 0, 2] = alphabet
    return drawings.reshape(-1, 28, 28)


def write_file(path: Path, shuffled: bool = False, names: tuple[str, ...] = TINY, count: int = 14) -> Path:
    """A file like the real one, with drawings of a few alphabets."""
    drawings = np.arange(len(names) * count * 20)
    order = np.random.default_rng(0).permutation(drawings) if shuffled else drawings
    images = np.concatenate([made_up(count, number) for number in range(len(names))])
    np.savez(
        path,
        images=images[order],
        alphabet=(drawings // (count * 20)).astype(np.uint8)[order],
        character=(drawings // 20 % count).astype(np.uint8)[order],
        drawer=(drawings % 20 + 1).astype(np.uint8)[order],
        alphabet_names=np.array(names),
    )
    return path.parent


def write_folders(
    root: Path, ink: NDArray[np.uint8], alphabet: str = BLACKFOOT, folder: str = "images_background"
) -> Path:
    """Pictures as they are published: black ink on white."""
    for number, image in enumerate(ink):
        path = (
            root / folder / alphabet / f"character{number // 20 + 1:02}" / f"{number // 20:04}_{number % 20 + 1:02}.png"
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(255 - image).save(path)
    return root


def same(one: Splits[Samples], other: Splits[Samples]) -> bool:
    return all(
        torch.equal(tensor, theirs.fields[name])
        for (_, ours), (_, theirs) in zip(one.named(), other.named(), strict=True)
        for name, tensor in ours.fields.items()
    )


def test_there_are_fifty_alphabets_and_1623_characters() -> None:
    assert len(CHARACTERS) == 50
    assert sum(CHARACTERS.values()) == 1623


def test_every_alphabet_has_a_name_that_a_task_may_have_and_no_other_has() -> None:
    assert len(OFFICIAL) == 50
    assert set(OFFICIAL.values()) == set(CHARACTERS)
    assert all(name.isidentifier() and spelt(name) == name for name in OFFICIAL)
    assert spelt("Old_Church_Slavonic_(Cyrillic)") == "Old_Church_Slavonic_Cyrillic"
    assert spelt("Malay_(Jawi_-_Arabic)") == "Malay_Jawi_Arabic"
    assert spelt("Anglo-Saxon_Futhorc") == "Anglo_Saxon_Futhorc"


def test_how_many_classes_an_alphabet_has_is_known_without_the_data() -> None:
    options: dict[str, Constant] = {"root": "nowhere", "alphabets": (), "seed": 0}
    assert KIND.apart(options)
    assert KIND.classes(options, "Malay_Jawi_Arabic") == 40
    assert KIND.classes(options, "Malay") is None
    assert KIND.classes(options | {"alphabets": ("Greek",)}, "Gujarati") is None


def test_each_character_has_10_4_and_6_drawings_that_are_in_no_other_split(tmp_path: Path) -> None:
    splits = loaded(write_file(tmp_path / "omniglot_28.npz"), reading(BLACKFOOT))[spelt(BLACKFOOT)]
    seen = []
    for (_, samples), drawings in zip(splits.named(), (10, 4, 6), strict=True):
        labels, images = samples.fields[spelt(BLACKFOOT)], samples.fields["image"]
        assert labels.bincount().tolist() == [drawings] * 14
        assert torch.equal(images[:, 0, 0, 0], labels)
        seen += [tuple(pixels) for pixels in images[:, 0, 0, :2].tolist()]
        assert samples.layout == {"image": FieldKind.IMAGE, spelt(BLACKFOOT): FieldKind.LABEL}
    assert sorted(seen) == [(character, drawer) for character in range(14) for drawer in range(1, 21)]


def test_the_order_of_the_file_and_the_other_tasks_do_not_matter_and_the_seed_does(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    ordered = write_file(tmp_path / "a" / "omniglot_28.npz")
    mixed = write_file(tmp_path / "b" / "omniglot_28.npz", shuffled=True, names=TINY)
    alone = loaded(ordered, reading(OJIBWE, "one"))["one"]
    both = loaded(mixed, reading(BLACKFOOT), reading(OJIBWE, "one"))
    assert same(alone, both["one"])
    assert not same(alone, loaded(ordered, reading(OJIBWE, "one"), seed=1)["one"])
    # each alphabet is divided in its own way
    drawers = [splits.train.fields["image"][:, 0, 0, 1] for splits in both.values()]
    assert not torch.equal(*drawers)


def test_each_task_has_the_drawings_of_its_own_alphabet_under_its_own_field(tmp_path: Path) -> None:
    found = loaded(write_file(tmp_path / "omniglot_28.npz"), reading(OJIBWE, "second"), reading(BLACKFOOT, "first"))
    assert list(found) == ["second", "first"]
    for name, alphabet, number in (("first", BLACKFOOT, 0), ("second", OJIBWE, 1)):
        assert set(found[name].train.fields) == {"image", spelt(alphabet)}
        assert found[name].train.fields["image"][:, 0, 0, 2].unique().tolist() == [number]


def test_alphabets_may_be_listed_in_the_order_of_the_tasks(tmp_path: Path) -> None:
    root = write_file(tmp_path / "omniglot_28.npz")
    tasks = [task(name, Target("classes", 14), dense=False) for name in ("a", "b")]
    found = loaded(root, *tasks, alphabets=(OJIBWE, "Blackfoot_Canadian_Aboriginal_Syllabics"))
    by_field = loaded(root, reading(OJIBWE, "a"), reading(BLACKFOOT, "b"))
    for name in ("a", "b"):
        assert set(found[name].train.fields) == {"image", name}
        assert torch.equal(found[name].train.fields["image"], by_field[name].train.fields["image"])


def test_a_reconstruction_reads_the_alphabet_that_its_task_is_called_after(tmp_path: Path) -> None:
    root = write_file(tmp_path / "omniglot_28.npz")
    name = spelt(OJIBWE)
    found = loaded(root, task(name, Target("reconstruct", 1), "image", size=(28, 28)))[name]
    assert set(found.test.fields) == {"image"}
    assert torch.equal(found.test.fields["image"], loaded(root, reading(OJIBWE))[name].test.fields["image"])


def test_published_folders_are_read_as_ink_on_nothing_with_or_without_keeping_them(tmp_path: Path) -> None:
    ink = made_up() * 10
    ink[:, 10:20, 5:9] = 255
    folders = write_folders(tmp_path, ink, OJIBWE, "images_evaluation")
    write_folders(tmp_path, made_up())
    first = loaded(folders, reading(OJIBWE), cache=True)[spelt(OJIBWE)]
    for cache in (True, False):
        assert same(first, loaded(folders, reading(OJIBWE), cache=cache)[spelt(OJIBWE)])
    images, labels = first.train.fields["image"], first.train.fields[spelt(OJIBWE)]
    assert torch.equal(images[:, 0, 0, 0], labels * 10)
    assert (images[:, 0, 10:20, 5:9] == 255).all()
    assert (images[:, 0, 20:] == 0).all()
    assert float(next(batches(first.train, 2))["image"].max()) == 1.0


def test_other_sizes_are_averages_of_what_is_there(tmp_path: Path) -> None:
    drawings = np.random.default_rng(0).integers(0, 256, (280, 28, 28), dtype=np.uint8)
    root = write_folders(tmp_path, drawings)
    whole = loaded(root, reading(BLACKFOOT))[spelt(BLACKFOOT)].test.fields["image"]
    half = loaded(root, reading(BLACKFOOT), shape=(1, 14, 14))[spelt(BLACKFOOT)].test.fields["image"]
    means = torch.nn.functional.avg_pool2d(whole.float(), 2)
    assert torch.equal(half, torch.floor(means + 0.5).to(torch.uint8))


@pytest.mark.parametrize(
    ("tasks", "options", "message"),
    [
        ((task("Grek", Target("classes", 24), dense=False),), {}, r"MTL603.*no alphabet `Grek`(.|\n)*mean `Greek`"),
        (
            (task("Greek", Target("classes", 20), dense=False),),
            {},
            r"MTL603.*`Greek` has 24 classes, not 20(.|\n)*classes\(24\)",
        ),
        ((task("Greek", Target("values", 1), dense=False),), {}, r"MTL603.*has classes, and no `values`"),
        ((task("Greek", Target("classes", 24), size=(7, 7)),), {}, r"MTL603.*head of `Greek` gives an image"),
        (
            (reading("Greek"), reading("Latin")),
            {"alphabets": ("Greek",)},
            r"MTL603.*lists 1, but 2 tasks read them",
        ),
        ((reading("Greek"),), {"alphabets": ("Runes",)}, r"MTL603.*no alphabet `Runes`"),
        ((reading("Greek"),), {}, r"MTL602.*has no drawings of `Greek`"),
    ],
)
def test_what_omniglot_has_not_is_an_error(
    tmp_path: Path, tasks: tuple[Task, ...], options: dict[str, Constant], message: str
) -> None:
    with pytest.raises(MtlError, match=message):
        loaded(write_file(tmp_path / "omniglot_28.npz"), *tasks, **options)


def test_the_input_is_an_image_of_one_channel(tmp_path: Path) -> None:
    with pytest.raises(MtlError, match=r"MTL602.*images of 1 channel, but the input is 3 x 28 x 28"):
        loaded(tmp_path, reading("Greek"), shape=(3, 28, 28))


def test_every_task_that_asks_for_what_is_not_there_is_reported_at_once(tmp_path: Path) -> None:
    tasks = [task(name, Target("classes", 3), dense=False) for name in ("Greek", "Runes", "Latin")]
    with pytest.raises(MtlError) as caught:
        loaded(write_file(tmp_path / "omniglot_28.npz"), *tasks)
    assert [each.code for each in caught.value.diagnostics] == ["MTL603"] * 3


def test_files_that_are_not_the_data_set_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(MtlError, match=r"MTL602.*holds neither images_background, nor omniglot_28.npz"):
        loaded(tmp_path, reading(BLACKFOOT))
    file = tmp_path / "omniglot_28.npz"
    file.write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(MtlError, match=r"MTL602.*is no whole .npz file"):
        loaded(tmp_path, reading(BLACKFOOT))
    np.savez(file, images=np.zeros((3, 28, 28), np.uint8))
    with pytest.raises(MtlError, match=r"MTL602.*no array `alphabet`"):
        loaded(tmp_path, reading(BLACKFOOT))
    write_file(file, count=13)
    with pytest.raises(MtlError, match=r"MTL602.*260 drawings of 13 characters.*not 20 of each of its 14"):
        loaded(tmp_path, reading(BLACKFOOT))
    columns = {name: np.zeros(2, np.uint8) for name in ("alphabet", "character", "drawer")}
    np.savez(file, images=np.zeros((3, 28, 28), np.uint8), alphabet_names=np.array(TINY), **columns)
    with pytest.raises(MtlError, match=r"MTL602.*does not hold the arrays of Omniglot"):
        loaded(tmp_path, reading(BLACKFOOT))


def test_folders_that_are_not_whole_are_an_error(tmp_path: Path) -> None:
    root = write_folders(tmp_path, made_up())
    folder = root / "images_background" / BLACKFOOT
    broken = folder / "character03" / "0002_07.png"
    broken.write_bytes(broken.read_bytes()[:40])
    with pytest.raises(MtlError, match=r"MTL602.*0002_07.png` is no whole picture"):
        loaded(root, reading(BLACKFOOT))
    Image.fromarray(np.zeros((3, 3), np.uint8)).save(broken)
    with pytest.raises(MtlError, match=r"MTL602.*differ in size"):
        loaded(root, reading(BLACKFOOT))
    broken.unlink()
    with pytest.raises(MtlError, match=r"MTL602.*279 drawings of 14 characters"):
        loaded(root, reading(BLACKFOOT))
    shutil.rmtree(folder)
    with pytest.raises(MtlError, match=r"MTL602.*has no drawings of"):
        loaded(root, reading(BLACKFOOT))


@needs_data
@pytest.mark.parametrize("side", [28, 105])
def test_the_real_drawings_are_divided_as_the_protocol_says(side: int) -> None:
    names = ("Tibetan", "Malay_(Jawi_-_Arabic)")
    found = loaded(ROOT, *map(reading, names), shape=(1, side, side))
    with np.load(ROOT / "omniglot_28.npz") as file:
        alphabet, known = file["alphabet"], file["alphabet_names"].tolist()
    for name in names:
        splits = found[spelt(name)]
        whole = int((alphabet == known.index(name)).sum())
        assert [len(samples) for _, samples in splits.named()] == [whole // 2, whole // 5, whole * 3 // 10]
        assert tuple(splits.train.fields["image"].shape[1:]) == (1, side, side)
        assert splits.train.fields["image"].float().mean() < 64  # ink is what there is less of


@needs_data
def test_the_counts_of_characters_are_those_of_the_real_files() -> None:
    with np.load(ROOT / "omniglot_105_bits.npz") as file:
        known, alphabet, character = file["alphabet_names"].tolist(), file["alphabet"], file["character"]
    counts = {name: len(np.unique(character[alphabet == number])) for number, name in enumerate(known)}
    assert counts == CHARACTERS


@needs_data
def test_both_real_files_give_the_same_drawings_to_each_split() -> None:
    name = spelt(BLACKFOOT)
    small = loaded(ROOT, reading(BLACKFOOT))[name]
    large = loaded(ROOT / "omniglot_105_bits.npz", reading(BLACKFOOT))[name]
    for (_, one), (_, other) in zip(small.named(), large.named(), strict=True):
        assert torch.equal(one.fields[name], other.fields[name])
        difference = one.fields["image"].float() - other.fields["image"].float()
        assert difference.abs().mean() < 4


@needs_data
def test_folders_with_the_real_drawings_are_the_same_as_the_file(tmp_path: Path) -> None:
    with np.load(ROOT / "omniglot_105_bits.npz") as file:
        rows = file["bits"][file["alphabet"] == file["alphabet_names"].tolist().index(OJIBWE)]
    ink = np.unpackbits(rows, axis=1)[:, :11025].reshape(-1, 105, 105) * np.uint8(255)
    root = write_folders(tmp_path, ink, OJIBWE)
    for side in (105, 28):
        shape = (1, side, side)
        kept = loaded(root, reading(OJIBWE), shape=shape, cache=True)[spelt(OJIBWE)]
        assert same(kept, loaded(ROOT / "omniglot_105_bits.npz", reading(OJIBWE), shape=shape)[spelt(OJIBWE)])
