"""`data python`: a person's own torch Dataset of dicts, read item by item."""

from __future__ import annotations

import gc
import json
import random
import sys
from collections.abc import Iterator
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from PIL import Image

from mtsldsl.diagnostics import MtlError, Source, Span
from mtsldsl.editing import load, loads
from mtsldsl.ir.normal import normal_form
from mtsldsl.ir.task_record import Target
from mtsldsl.runtime.data import FieldKind, Samples, Splits, batches, describe, load_data, parallel_reading
from mtsldsl.runtime.data.array_shapes import Expected
from mtsldsl.runtime.data.own_samples import OwnReader, Wanted
from mtsldsl.runtime.data.read_samples import FIRST, ReadSamples
from mtsldsl.runtime.objectives.constant import constant_metrics
from mtsldsl.runtime.run.data_record import differences, record_of_data, warn_of_other_code, warn_of_other_data
from tests import prepared

SPEC = """\
mtl 1
data python {{
  input   = image(1, 4, 6)
  factory = "own_photos:{name}"
  batch   = 4
  {more}
}}
task kind  {{ target = classes(3)
             head = flatten | linear(3) }}
task price {{ target = values(1, scale=standard)
             head = flatten | linear(1) }}
backbone {{ stem = conv2d(2, 3) | relu }}
train {{ epochs = 2 }}
"""

CODE = """\
import os
import random
import time
import numpy as np
import torch
from torch.utils.data import Dataset, IterableDataset


class Photos(Dataset):
    def __init__(self, count, change=None):
        self.count, self.change = count, change or {}

    def __len__(self):
        return self.count

    def __getitem__(self, number):
        if number >= self.count:
            raise IndexError(number)
        item = {
            "image": torch.full((1, 4, 6), number, dtype=torch.uint8),
            "kind": number % 3 if number % 5 else None,
            "price": np.float64(number),
        }
        change = self.change.get(number, {})
        if isinstance(change, BaseException):
            raise change
        if change == "ends":
            os._exit(3)
        return {**item, **change} if isinstance(change, dict) else change


class Noisy(Photos):
    def __getitem__(self, number):
        end = time.perf_counter() + 0.006  # long enough for a batch of 4 to be read by workers
        while time.perf_counter() < end:
            pass
        item = super().__getitem__(number)
        noise = torch.rand(1, 4, 6) + random.random() + np.random.rand()
        return {**item, "image": item["image"] / 255 + noise}


def photos():
    return Photos(40)

class Visits(Photos):
    # of each ten samples one is for the test and one for validation; four persons; a class of which few are
    def __getitem__(self, number):
        part = {0: "Test", 1: b"validation"}.get(number % 10, "train")
        own = {"part": part, "person": torch.tensor(number // 10), "rare": [1.0, np.int64(0)][number % 4 > 0]}
        return {**own, **super().__getitem__(number)}

def visits():
    return Visits(40, CHANGES)

def visits_apart():
    return {"train": Visits(30), "test": Visits(10)}

def persons_apart():
    return {"train": Visits(30, {number: {"person": number % 3 + 1} for number in range(30)}),
            "test": Visits(10, {number: {"person": 0} for number in range(10)})}

def noisy():
    return Noisy(40)

def parted():
    return {"train": Photos(24), "validation": Photos(5), "test": Photos(7)}

def called_otherwise():
    return {"train": Photos(24), "val": Photos(5), "test": Photos(7)}

def of_so_many(count, other="1"):
    return Photos(int(count))

def streamed():
    class Stream(IterableDataset):
        def __iter__(self):
            return iter(())
    return Stream()

def without_test():
    return {"train": Photos(9)}

def nothing():
    return None

class Endless(Photos):
    def __len__(self):
        return self.count

def endless():
    return Endless(None)

def broken():
    return Endless(-1)

number = 3
CHANGES = {}

def changed():
    return Photos(40, CHANGES)
"""


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "own_photos.py").write_text(CODE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    monkeypatch.setattr(parallel_reading, "QUICK", 0)  # so that workers are there, however quick the machine is
    yield
    sys.modules.pop("own_photos", None)


def loaded(name: str, more: str = "", workers: int = 0, **changes: Any) -> Splits:
    if changes:
        from importlib import import_module

        import_module("own_photos").CHANGES.update({int(key[1:]): change for key, change in changes.items()})
    return load_data(spec(name, more), workers=workers)


def spec(name: str, more: str = "") -> Any:
    Path("job.mtl").write_text(SPEC.format(name=name, more=more), encoding="utf-8")
    return load("job.mtl")


def bits(samples: Samples, **options: Any) -> list[dict[str, bytes]]:
    found = batches(samples, 4, shuffle=True, **options)
    return [{name: each.contiguous().numpy().tobytes() for name, each in batch.items()} for batch in found]


def test_a_data_set_is_parted_by_the_seed_and_what_an_item_lacks_is_no_label() -> None:
    splits = loaded("photos", "test = 0.25")
    assert [len(each) for _, each in splits.named()] == [27, 3, 10]
    seen = []
    for _, samples in splits.named():
        assert isinstance(samples, ReadSamples)
        for batch in batches(samples, 4):
            numbers = (batch["image"][:, 0, 0, 0] * 255).round().long()
            wanted = torch.where(numbers % 5 == 0, -1, numbers % 3)
            assert torch.equal(batch["kind"], wanted)
            scale = splits.train.scales["price"]
            assert torch.allclose(scale.undo(batch["price"])[:, 0], numbers.float(), atol=1e-4)
            seen += numbers.tolist()
    assert sorted(seen) == list(range(40))
    found = describe(spec("photos", "test = 0.25"), splits)
    assert sum(each["labels"]["kind"]["entries"] for each in found.values()) == 32


def test_parts_by_name_stay_as_they_are_and_text_is_given_to_the_function() -> None:
    assert [len(each) for _, each in loaded("parted").named()] == [24, 5, 7]
    splits = loaded("of_so_many", 'arguments = ["30"]')
    assert sum(len(each) for _, each in splits.named()) == 30


def numbers(splits: Splits) -> dict[str, list[int]]:
    """The numbers of the samples of each split, in their order."""
    return {
        split: [
            number
            for batch in batches(samples, 64)
            for number in (batch["image"][:, 0, 0, 0] * 255).round().long().tolist()
        ]
        for split, samples in splits.named()
    }


@pytest.mark.parametrize("workers", [0, 2])
def test_a_key_of_the_samples_says_the_part_the_group_or_the_class(workers: int) -> None:
    every = range(40)
    assert numbers(loaded("visits", 'split = "part"', workers=workers)) == {
        "train": [number for number in every if number % 10 > 1],
        "validation": [number for number in every if number % 10 == 1],
        "test": [number for number in every if number % 10 == 0],
    }
    found = numbers(loaded("visits", 'group = "person"\n test = 0.25\n validation = 0.3', workers=workers))
    assert sorted(number for part in found.values() for number in part) == list(every)
    persons = [{number // 10 for number in part} for part in found.values()]
    assert [len(each) for each in persons] == [2, 1, 1]
    assert len(set().union(*persons)) == 4
    found = numbers(loaded("visits", 'stratify = "rare"\n test = 0.4\n validation = 0.5', workers=workers))
    assert {split: (len(part), sum(number % 4 == 0 for number in part)) for split, part in found.items()} == {
        "train": (12, 3), "validation": (12, 3), "test": (16, 4),
    }  # fmt: skip


def test_parts_are_those_of_arrays_that_say_the_same() -> None:
    more = 'stratify = "rare"\n test = 0.4\n train_samples = 12'
    own = numbers(loaded("visits", more))
    image = np.arange(40, dtype=np.uint8)[:, None, None, None] * np.ones((1, 1, 4, 6), np.uint8)
    rare = np.array(["yes", "no"])[(np.arange(40) % 4 > 0).astype(int)]
    np.savez("same.npz", image=image, kind=np.arange(40) % 3, price=np.arange(40.0), rare=rare)
    text = SPEC.format(name="visits", more=more).replace("python", "arrays")
    assert own == numbers(load_data(loads(text.replace('factory = "own_photos:visits"', 'path = "same.npz"'))))


def test_data_sets_by_name_are_held_against_what_samples_say() -> None:
    persons = 'group = "person"\n validation = 0.4'
    with pytest.raises(
        MtlError, match=r"MTL602.*`0` of the key `person` of samples of `own_photos:visits_apart` is in "
    ):
        loaded("visits_apart", persons)
    found = loaded("persons_apart", persons)
    assert [len(samples) for _, samples in found.named()] == [20, 10, 10]
    assert len({number % 3 for number in numbers(found)["validation"]}) == 1
    with pytest.raises(
        MtlError, match=r"MTL602.*says which part they are in, and so does the dict(.|\n)*leave `split` out"
    ):
        loaded("visits_apart", 'split = "part"')


def test_what_a_key_says_is_held_against_what_it_may_say() -> None:
    with pytest.raises(MtlError, match=r"MTL603.*no sample of `own_photos:visits` says anything by the key `persons`"):
        loaded("visits", 'group = "persons"')
    with pytest.raises(MtlError, match=r"MTL602.*`part` of sample 7 \(from 0\) of .* holds `val`(.|\n)*`validation`"):
        loaded("visits", 'split = "part"', n7={"part": "val"})
    with pytest.raises(MtlError, match=r"MTL602.*`person` of sample 7 .* holds ``, which says no group"):
        loaded("visits", 'group = "person"', n7={"person": None})
    with pytest.raises(MtlError, match=r"MTL607.*sample 7 .*`person` is an array of 2, where one name or number"):
        loaded("visits", 'group = "person"', n7={"person": torch.zeros(2)})
    with pytest.raises(MtlError, match=r"MTL607.*sample 7 .*`person` is a list, where one name or number"):
        loaded("visits", 'group = "person"', n7={"person": [[1], [1, 2]]})


def test_samples_that_are_left_out_leave_the_parts_of_others_as_they_are() -> None:
    whole = numbers(loaded("visits", 'split = "part"'))
    found = numbers(loaded("visits", 'split = "part"\n on_error = skip', n7=OSError("gone"), n13={"kind": 9}))
    assert found == {split: [number for number in part if number not in (7, 13)] for split, part in whole.items()}


def test_a_spec_that_divides_by_no_key_has_the_hash_that_it_had() -> None:
    for more, known in (("", False), ('split = "part"', True), ('group = "part"', True), ('stratify = "part"', True)):
        options = normal_form(spec("photos", more))["data"]["options"]
        assert bool({"split", "group", "stratify"} & options.keys()) is known


def test_what_is_random_in_an_item_depends_on_seed_epoch_and_item_alone() -> None:
    random.seed(4)
    np.random.seed(4)  # what a person's own code may draw from
    torch.manual_seed(4)
    before = random.getstate(), torch.get_rng_state()
    own = [loaded("noisy", workers=workers).train for workers in (0, 1, 2)]
    epochs = [[bits(samples, seed=1, epoch=epoch) for epoch in (0, 1)] for samples in own]
    assert before[0] == random.getstate()
    assert torch.equal(before[1], torch.get_rng_state())
    assert epochs[0] == epochs[1] == epochs[2]
    again = bits(own[0], seed=1, epoch=1)  # as after a resumption
    assert again == epochs[0][1] != epochs[0][0]
    one = (
        own[0].take(torch.tensor([5, 5])).gathered([torch.tensor([0]), torch.tensor([1])], torch.device("cpu"), (1, 1))
    )
    first, second = (found["image"] for found in one)
    assert torch.equal(first, second)
    other = own[0].gathered([torch.tensor([5]), torch.tensor([6])], torch.device("cpu"), (1, 2))
    images = [first, *(found["image"] for found in other)]
    assert len({image.numpy().tobytes() for image in images}) == 3


def test_what_is_read_quickly_is_read_here_whatever_workers_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = loaded("noisy", workers=2)
    wanted = bits(slow.train, seed=1, epoch=1)
    assert len(active_children()) == 2
    assert not slow.remarks
    del slow
    gc.collect()
    assert not active_children()
    monkeypatch.setattr(parallel_reading, "QUICK", 1e9)
    splits = loaded("noisy", workers=2)
    assert bits(splits.train, seed=1, epoch=1) == wanted
    assert not active_children()
    (said,) = splits.remarks
    assert said.startswith("`--workers 2` does nothing for `own_photos:noisy`: a batch of 4 is read in less than ")
    assert not loaded("noisy").remarks


def test_small_labels_are_kept_and_the_best_constant_reads_no_item_again(monkeypatch: pytest.MonkeyPatch) -> None:
    splits = loaded("photos")
    job = spec("photos")
    wanted = constant_metrics(job.tasks, splits.validation.to("cpu"))
    from importlib import import_module

    def gone(_: object, number: int) -> None:
        raise AssertionError(number)

    monkeypatch.setattr(import_module("own_photos").Photos, "__getitem__", gone)
    assert str(constant_metrics(job.tasks, splits.validation)) == str(wanted)
    with pytest.raises(MtlError, match="AssertionError"):
        next(batches(splits.train, 4))


BROKEN: list[tuple[Any, str, str]] = [
    ({"image": torch.zeros(1, 4, 7)}, "the input", "a sample of `image` is 1 x 4 x 7, but the spec's is 1 x 4 x 6"),
    ({"image": np.zeros((4, 6, 2), np.uint8)}, "the input", "a sample of `image`"),
    ({"image": torch.full((1, 4, 6), torch.nan)}, "the input", "`image`, which is an input, holds nan"),
    ({"image": torch.zeros(1, 4, 6, dtype=torch.int64)}, "the input", "does not say how it is to be scaled"),
    ({"image": torch.zeros(1, 4, 6)}, "the input", "`image` holds float32, where that of other samples holds uint8"),
    ({"image": None}, "the input", "it has no `image`, but `image`, `kind`, `price`"),
    ({"image": [[1, 2], [3]]}, "the input", "`image` is no array of numbers"),
    ({"kind": 3}, "the task `kind`", "holds the label 3, but the task has the classes 0 to 2"),
    ({"kind": 0.5}, "the task `kind`", "holds 0.5, where classes are expected"),
    ({"kind": "cat"}, "the task `kind`", "not numbers"),
    ({"price": [1.0, 2.0]}, "the task `price`", "a sample of `price` is 2"),
    ({"price": 1e300}, "the task `price`", "too large for float32"),
    (SystemExit(3), "", "it cannot be read: SystemExit: 3"),
    (OSError("cut off"), "", "it cannot be read: OSError: cut off"),
    ((1, 2), "", "it is a tuple, where a dict of fields by their names is wanted"),
]


@pytest.mark.parametrize(
    ("change", "whose", "cause", "workers"),
    [*((*each, 0) for each in BROKEN), (*BROKEN[0], 2), (*BROKEN[12], 2), (*BROKEN[13], 2)],
)
def test_a_sample_that_does_not_fit_is_named_with_its_task_and_line(
    change: Any, whose: str, cause: str, workers: int
) -> None:
    with pytest.raises(MtlError) as caught:
        loaded("changed", workers=workers, n17=change)
    (found,) = caught.value.diagnostics
    assert found.code == "MTL607"
    assert found.cause.startswith("sample 17 (from 0) of `own_photos:changed`")
    assert f"which {whose} reads" in found.cause or not whose
    assert cause in found.cause
    assert found.span is not None
    line = {"the task `kind`": 8, "the task `price`": 10}.get(whose, 2)
    assert found.span.line == line
    if isinstance(change, OSError):
        assert f"own_photos.py:{1 + CODE[: CODE.index('raise change')].count(chr(10))})" in found.cause


def test_a_process_that_ends_while_it_reads_is_told_with_the_factory_and_what_to_do() -> None:
    with pytest.raises(MtlError, match=r"MTL607.*reads samples of `own_photos:changed` has ended(.|\n)*`--workers 0`"):
        loaded("changed", workers=2, n17="ends")


@pytest.mark.parametrize("workers", [0, 2])
def test_such_samples_are_left_out_and_counted_where_the_spec_says_so(workers: int) -> None:
    changes = {f"n{2 * place}": change for place, (change, *_) in enumerate(BROKEN)}  # the first has number 0
    changes["n0"] = OSError("gone")
    splits = loaded("changed", "on_error = skip", workers=workers, **changes)
    left = [
        number
        for _, samples in splits.named()
        for batch in batches(samples, 64)
        for number in (batch["image"][:, 0, 0, 0] * 255).round().long().tolist()
    ]
    assert sorted(left) == [number for number in range(40) if f"n{number}" not in changes]
    (remark,) = splits.remarks
    assert "15 of 40 samples of `own_photos:changed` are left out" in remark
    assert "sample 0" in remark
    assert "OSError: gone" in remark


def test_where_too_few_are_left_it_is_told_how_many_are_left_out_and_why() -> None:
    with pytest.raises(MtlError) as caught:
        loaded("changed", "on_error = skip", **{f"n{number}": OSError("gone") for number in range(40)})
    (found,) = caught.value.diagnostics
    assert (found.code, found.cause[:40]) == ("MTL804", "there are 0 train samples, fewer than a ")
    assert "40 of 40 samples of `own_photos:changed` are left out" in found.cause
    assert "OSError: gone" in found.cause
    assert str(found.remedy).startswith("mend those that are left out")


@pytest.mark.parametrize(
    ("name", "more", "code", "cause"),
    [
        ("phots", "", "MTL606", "has no `phots`"),
        ("number", "", "MTL606", "is no function"),
        ("streamed", "", "MTL606", "is a Stream, whose samples cannot be asked for by number"),
        ("nothing", "", "MTL606", "is a NoneType"),
        ("endless", "", "MTL606", "does not say how many samples it has: `len` raises TypeError"),
        ("broken", "", "MTL606", "does not say how many samples it has: `len` raises ValueError"),
        ("without_test", "", "MTL606", "and none for `test`"),
        ("called_otherwise", "", "MTL606", "named `val`"),
        ("photos", 'arguments = ["3"]', "MTL606", "gives no data set: TypeError"),
        ("of_so_many", 'arguments = ["many"]', "MTL606", "gives no data set: ValueError"),
        ("of_so_many", 'arguments = ["5"]', "MTL804", "fewer than a batch"),
    ],
)
def test_what_is_no_data_set_is_told_with_the_line(name: str, more: str, code: str, cause: str) -> None:
    with pytest.raises(MtlError) as caught:
        loaded(name, more)
    (found,) = caught.value.diagnostics
    assert found.code == code
    assert cause in found.cause
    assert found.span is not None
    assert found.span.line == 2


@pytest.mark.parametrize("factory", ["own", "own:", "own:a b", ":photos"])
def test_a_factory_that_names_no_function_is_refused_by_check(factory: str) -> None:
    whole = SPEC.format(name="photos", more="").replace("own_photos:photos", factory)
    with pytest.raises(MtlError, match=r"MTL202.*`factory`(.|\n)*write `module:function`") as caught:
        loads(whole)
    (found,) = caught.value.diagnostics
    assert found.span is not None
    assert found.span.text == f'"{factory}"'


def test_several_inputs_of_a_folder_are_refused_with_the_data_that_has_them() -> None:
    whole = SPEC.format(name="photos", more='path = "x"\n images = "*.png"').replace("python", "folder")
    whole = whole.replace('factory = "own_photos:photos"', "").replace("image(1, 4, 6)", "[image(1, 4, 6), row(3)]")
    with pytest.raises(MtlError, match=r"MTL201.*`input` is one input here(.|\n)*several inputs.* `data python`"):
        loads(whole)


def test_a_column_of_files_without_a_table_is_refused_by_check() -> None:
    photos = 'data folder { input = image(1, 4, 6)\n path = "x"\n images = "*.png"\n file = "name"\n '
    whole = SPEC.format(name="photos", more="").replace("data python {\n  input   = image(1, 4, 6)", photos)
    whole = whole.replace('\n  factory = "own_photos:photos"', "")
    with pytest.raises(MtlError, match=r"MTL202.*`file` names a column, and there is no `table`"):
        loads(whole)
    assert loads(whole.replace('file = "name"', 'file = "name"\n table = "x.csv"')).data.options["file"] == "name"


def test_a_field_that_no_sample_has_is_told_with_those_that_it_has() -> None:
    Path("job.mtl").write_text(SPEC.format(name="photos", more="").replace("task kind", "task kinds"), encoding="utf-8")
    with pytest.raises(MtlError, match=r"MTL603.*no sample of `own_photos:photos` has a `kinds`(.|\n)*`kind`"):
        load_data(load("job.mtl"))


def test_a_module_that_is_not_there_is_told_and_reading_a_spec_imports_none() -> None:
    Path("own_photos.py").write_text("raise RuntimeError('read')", encoding="utf-8")
    read = spec("photos")
    assert "own_photos" not in sys.modules
    with pytest.raises(RuntimeError, match="read") as caught:
        load_data(read)
    assert any("job.mtl:2" in note for note in caught.value.__notes__)
    Path("own_photos.py").unlink()
    with pytest.raises(MtlError, match=r"MTL606.*cannot be imported"):
        load_data(read)


def test_pictures_of_pillow_have_their_channels_first() -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(4, 6)
    picture = {f"n{n}": {"image": Image.fromarray(pixels).convert(mode)} for n, mode in ((1, "L"), (2, "LA"))}
    splits = loaded("changed", **picture)
    found = [
        batch["image"][place]
        for _, samples in splits.named()
        for batch in batches(samples, 64)
        for place in range(len(batch["image"]))
        if batch["image"][place, 0, 0, 1] != batch["image"][place, 0, 0, 0]
    ]
    assert len(found) == 2
    for image in found:
        assert torch.equal((image * 255).round().byte(), torch.from_numpy(pixels)[None])


@pytest.mark.parametrize(
    ("mode", "cause", "remedy"),
    [
        ("RGB", "is of the kind RGB, which does not say what 1 channel are", '`picture.convert("L")`'),
        ("P", "is of the kind P", '`picture.convert("L")`'),
        ("LA", "is transparent in parts", '`picture.convert("L")`'),
    ],
)
def test_a_picture_of_which_a_part_would_be_lost_is_refused_as_that_of_a_file(
    mode: str, cause: str, remedy: str
) -> None:
    picture = Image.new("RGB", (6, 4)).convert(mode)
    if mode == "LA":
        picture.putalpha(7)
    with pytest.raises(MtlError) as caught:
        loaded("changed", n5={"image": picture})
    (found,) = caught.value.diagnostics
    assert found.cause.startswith("sample 5 (from 0) of `own_photos:changed`, which the input reads: `image` ")
    assert cause in found.cause
    assert remedy in str(found.remedy)


def test_the_record_has_the_code_that_made_the_samples_and_says_when_it_changes(
    capfd: pytest.CaptureFixture[str],
) -> None:
    splits, job = loaded("photos"), spec("photos")
    record = record_of_data(job, splits)
    assert record["code"]["target"] == "own_photos:photos"
    assert record["code"]["file"] == str(Path("own_photos.py").absolute())
    assert record["settings"]["factory"] == "own_photos:photos"
    assert set(record["sha256"]) == {"image", "kind", "price"}
    Path("events.jsonl").write_text(json.dumps({"event": "start", "read": record}) + "\n", encoding="utf-8")
    assert differences(job, splits, Path("events.jsonl")) == []
    Path("own_photos.py").write_text(CODE + "# more\n", encoding="utf-8")
    assert differences(job, splits, Path("events.jsonl")) == []  # what made them is the code as it was
    del sys.modules["own_photos"]
    warn_of_other_code(job, Path("events.jsonl"))
    assert "own_photos" not in sys.modules
    assert capfd.readouterr().err.count("`own_photos:photos` is not what it was") == 1
    splits = loaded("photos")
    (said,) = warn_of_other_data(job, splits, Path("events.jsonl"))
    assert "`own_photos:photos` is not what it was" in said
    assert capfd.readouterr().err == ""


@pytest.mark.soak
def test_a_run_is_the_same_by_any_number_of_processes_and_after_a_resumption() -> None:
    Path("job.mtl").write_text(SPEC.format(name="noisy", more=""), encoding="utf-8")
    command = ["-m", "mtsldsl", "train", "--quiet", "--device", "cpu", "--threads", "1"]
    alone = prepared.run(*command, "job.mtl")
    assert alone.returncode == 0, alone.stderr
    stopped = prepared.run("-c", STOPPED, "job.mtl")
    assert stopped.returncode == 9, stopped.stderr
    resumed = prepared.run(*command, "--resume", "runs/job/2", "--workers", "2")
    assert resumed.returncode == 0, resumed.stderr
    weights = [next(Path(f"runs/job/{n}").glob("best/**/*.safetensors")).read_bytes() for n in (1, 2)]
    assert weights[0] == weights[1]
    evaluated = prepared.run("-m", "mtsldsl", "eval", "runs/job/1", "--json", "--device", "cpu", "--workers", "1")
    assert evaluated.returncode == 0, evaluated.stderr
    lines = map(json.loads, Path("runs/job/1/events.jsonl").read_text(encoding="utf-8").splitlines())
    (test,) = (each for each in lines if each["event"] == "test")
    assert json.loads(evaluated.stdout)["losses"] == test["losses"]


STOPPED = """\
import os
from mtsldsl.cli import main
from mtsldsl.runtime.run import session
save = session.save_checkpoint
def save_and_end(*given):
    save(*given)
    os._exit(9)
session.save_checkpoint = save_and_end
main(["train", "--quiet", "--device", "cpu", "--threads", "1", "job.mtl"])
"""


IDS, TOKENS = Expected(FieldKind.LABEL, (3,), ids=9), Expected(FieldKind.PLAIN, (3, 2))
LABELS = Expected(FieldKind.LABEL, (3,), Target("classes", 4), by_token=True)


@pytest.mark.parametrize(
    ("value", "expected", "cause", "remedy"),
    [
        ([1, 2], IDS, "2, but the spec's is 3", "pad or cut the sequences to a length of 3, with an id of its own"),
        (torch.zeros(4, 2), TOKENS, "4 x 2, but the spec's is 3 x 2", "pad or cut the sequences to a length of 3"),
        ([0, 1], LABELS, "2, but the spec's is 3", "with what stands for a missing label where it is padded"),
        ([[1, 2], [3]], TOKENS, "a list of parts of several sizes", "pad or cut the sequences to a length of 3"),
        ([torch.zeros(2), torch.zeros(1)], TOKENS, "a list of parts of several sizes", "pad or cut the sequences"),
        ([[[1], [2, 3]]], IDS, "a list of parts of several sizes", "pad or cut the sequences to a length of 3"),
        (
            [1, [2, 3]],
            Expected(FieldKind.PLAIN, (3,)),
            "a list of parts of several sizes",
            "pad or cut them to one size",
        ),
        (["a", "b", "c"], IDS, "not numbers", "give each name a number"),
    ],
)
def test_a_sequence_of_another_length_is_refused_with_how_to_pad_it(
    value: Any, expected: Expected, cause: str, remedy: str
) -> None:
    reader = OwnReader([{"words": value}], "`own`", {"words": Wanted(expected, "the input", None)}, None)
    with pytest.raises(MtlError) as caught:
        reader.stacked((np.arange(1), ("words",), FIRST))
    (found,) = caught.value.diagnostics
    assert found.code == "MTL607"
    assert cause in found.cause
    assert remedy in str(found.remedy)


def test_an_id_that_is_not_known_is_told_at_the_embedding() -> None:
    embedding = Span(Source("job.mtl", "embedding(9, 2)"), 0, 15)
    ids = attrs.evolve(IDS, ids_from=embedding)
    reader = OwnReader([{"words": [1, 9, 2]}], "`own`", {"words": Wanted(ids, "the input", None)}, None)
    with pytest.raises(MtlError, match=r"MTL607.*the id 9, and `embedding` knows 0 to 8") as caught:
        reader.stacked((np.arange(1), ("words",), FIRST))
    assert caught.value.diagnostics[0].span == embedding
