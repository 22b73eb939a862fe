"""What a run's record says of the data that it read."""

from __future__ import annotations

import json
import os
from hashlib import sha256
from pathlib import Path

import attrs
import numpy as np
import pytest

from mtsldsl.diagnostics import MtlError
from mtsldsl.editing import load
from mtsldsl.ir import Spec
from mtsldsl.runtime.data import load_data
from mtsldsl.runtime.data.place import located
from mtsldsl.runtime.run.data_record import differences, record_of_data, recorded_places
from mtsldsl.runtime.run.recorded import Recorded

SPEC = """\
mtl 1
data arrays {
  path  = "rows.npz"
  input = row(2)
  batch = 2
}
task price {
  target = values(1)
  head   = linear(1)
}
backbone {
  hidden = linear(4)
}
train {
  epochs = 1
}
"""


def rows() -> dict[str, np.ndarray]:
    arrays = {}
    for start, split in enumerate(("train", "validation", "test")):
        arrays[f"{split}/row"] = np.arange(8, dtype=np.float32).reshape(4, 2) + start
        arrays[f"{split}/price"] = np.arange(4, dtype=np.float32).reshape(4, 1) - start
    return arrays


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spec:
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "rows.mtl").write_text(SPEC, encoding="utf-8")
    np.savez(tmp_path / "job" / "rows.npz", **rows())
    monkeypatch.chdir(tmp_path)
    return load("job/rows.mtl")


def recorded(spec: Spec) -> Path:
    events = Path("events.jsonl")
    start = {"event": "start", "read": record_of_data(spec, load_data(spec))}
    events.write_text(json.dumps(start) + "\n", encoding="utf-8")
    return events


def test_a_record_has_the_place_the_size_and_a_digest_of_each_field_that_was_read(spec: Spec, tmp_path: Path) -> None:
    np.savez("job/rows.npz", **rows(), unread=np.zeros(1000))
    record = record_of_data(spec, load_data(spec))
    path = tmp_path / "job" / "rows.npz"
    assert (record["given"], record["path"], record["bytes"]) == ("rows.npz", str(path), path.stat().st_size)
    nothing = dict.fromkeys(("split", "group", "stratify"))
    assert record["settings"] == {
        "apart": False,
        "on_error": "raise",
        **nothing,
        "validation": 0.1,
        "test": 0.2,
        "train_samples": None,
        "seed": 0,
    }
    by_hand = sha256()
    for split in ("train", "validation", "test"):
        by_hand.update(f"{split} torch.float32 (4, 1)\n".encode() + rows()[f"{split}/price"].tobytes())
    assert record["sha256"]["price"] == by_hand.hexdigest()
    assert set(record["sha256"]) == {"row", "price"}
    assert record["input"] == [0, 7]  # of training alone


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_one_other_number_in_any_split_is_another_digest_of_that_field_alone(spec: Spec, split: str) -> None:
    events = recorded(spec)
    assert differences(spec, load_data(spec), events) == []
    changed = rows()
    changed[f"{split}/price"][3] += 1
    np.savez("job/rows.npz", **changed)
    (found,) = differences(spec, load_data(spec), events)
    assert "`price`" in found
    assert "`row`" not in found
    assert str(Path("job/rows.npz").absolute()) in found


def test_rows_that_were_added_are_told_of_with_the_sizes_of_the_file(spec: Spec) -> None:
    events, before = recorded(spec), Path("job/rows.npz").stat().st_size
    longer = {name: np.concatenate([array, array]) for name, array in rows().items()}
    np.savez("job/rows.npz", **longer)
    (found,) = differences(spec, load_data(spec), events)
    assert found.endswith(f"({Path('job/rows.npz').stat().st_size:,} bytes, and was {before:,})")


def test_other_settings_are_named_in_place_of_fields(spec: Spec) -> None:
    events = recorded(spec)
    other = load("job/rows.mtl", {"data.seed": 3})
    assert differences(other, load_data(other), events) == [
        "`seed` is 3, and was 0; samples that it was trained on may be in its test now"
    ]


def test_a_run_of_a_version_without_a_setting_is_told_of_it_where_it_is_set_now(spec: Spec) -> None:
    events = recorded(spec)
    start = json.loads(events.read_text(encoding="utf-8"))
    for name in ("split", "group", "stratify"):
        del start["read"]["settings"][name]
    events.write_text(json.dumps(start) + "\n", encoding="utf-8")
    assert differences(spec, load_data(spec), events) == []
    other = attrs.evolve(spec.data, options={**spec.data.options, "stratify": "price"})
    (said,) = differences(attrs.evolve(spec, data=other), load_data(spec), events)
    assert said.startswith("`stratify` is price, and was None")


def test_rendered_rooms_are_recorded_by_their_settings_and_by_what_was_drawn(tmp_path: Path) -> None:
    settings = {"data.images": 32, "data.batch": 4, "data.seed": 7}
    scenes = load(Path(__file__).parents[2] / "specs" / "scenes.mtl", settings)
    data = load_data(scenes)
    record = record_of_data(scenes, data)
    assert record["settings"] == {"images": 32, "validation": 0.1, "test": 0.2, "seed": 7}
    assert (record["given"], record["path"], record["bytes"]) == (None, None, None)
    assert set(record["sha256"]) == set(data.train.fields)
    events = tmp_path / "events.jsonl"
    events.write_text(json.dumps({"event": "start", "read": record}) + "\n", encoding="utf-8")
    assert differences(scenes, data, events) == []
    data.test.fields["depth"][0] += 1  # as another version of the program may draw it
    assert differences(scenes, data, events) == ["`data scenes` has other values of `depth`"]


def test_a_run_without_such_a_record_is_not_judged(spec: Spec) -> None:
    Path("old.jsonl").write_text('{"event": "start"}\n', encoding="utf-8")
    assert differences(spec, load_data(spec), Path("old.jsonl")) == []
    assert recorded_places(spec, Path("old.jsonl")) == {}
    assert Recorded.of(spec, spec.data, Path("old.jsonl")).extents == {}
    before = {"event": "start", "read": record_of_data(spec, load_data(spec))}
    assert before["read"].pop("input") == [0, 7]  # earlier versions did not write it
    Path("old.jsonl").write_text(json.dumps(before) + "\n", encoding="utf-8")
    assert Recorded.of(spec, spec.data, Path("old.jsonl")).extents == {}


def test_the_least_and_the_largest_input_are_those_that_the_network_saw(spec: Spec) -> None:
    assert Recorded.of(spec, spec.data, recorded(spec)).extents == {spec.data.input: (0, 7)}
    scenes = load(Path(__file__).parents[2] / "specs" / "scenes.mtl", {"data.images": 32, "data.batch": 4})
    data = load_data(scenes)
    pixels = data.train.fields["image"].numpy()
    assert pixels.dtype == np.uint8
    assert record_of_data(scenes, data)["input"] == [pixels.min() / 255, pixels.max() / 255]


def test_data_is_looked_for_from_here_then_beside_the_spec_then_where_the_run_found_it(
    spec: Spec, tmp_path: Path
) -> None:
    record = tmp_path / "record.npz"
    for place in (Path("rows.npz"), record):
        np.savez(place, **rows())
    assert located(spec.data, spec.source.name, record) == Path("rows.npz")
    Path("rows.npz").unlink()
    assert located(spec.data, spec.source.name, record) == Path("job/rows.npz")
    Path("job/rows.npz").unlink()
    assert located(spec.data, spec.source.name, record) == record
    record.unlink()
    with pytest.raises(MtlError, match="MTL601") as caught:
        located(spec.data, spec.source.name, record)
    assert all(str(place) in str(caught.value) for place in (tmp_path / "rows.npz", tmp_path / "job/rows.npz", record))
    assert "--set data.path=" in str(caught.value)


@pytest.mark.parametrize("path", ["/dev/zero", "pipe.npz"])
def test_a_pipe_or_a_device_is_not_read(spec: Spec, path: str) -> None:
    os.mkfifo("pipe.npz")
    with pytest.raises(MtlError, match=r"MTL601.*neither a file nor a folder"):
        load_data(load("job/rows.mtl", {"data.path": path}))


def test_the_recorded_place_is_for_the_path_that_the_run_was_given(spec: Spec) -> None:
    events = recorded(spec)
    assert recorded_places(spec, events) == {"arrays": Path("job/rows.npz").absolute()}
    assert recorded_places(load("job/rows.mtl", {"data.path": "other.npz"}), events) == {}
