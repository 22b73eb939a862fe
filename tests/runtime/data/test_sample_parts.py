"""Which samples are for training, validation and the test: by the seed, by what arrays and columns say, by classes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedShuffleSplit

from mtsldsl import loads
from mtsldsl.diagnostics import MtlError, Source
from mtsldsl.division import Shares, divided, trained_on
from mtsldsl.editing.checking import check
from mtsldsl.ir.normal import digest, normal_form
from mtsldsl.ir.task_record import Target
from mtsldsl.language.constants import Constant
from mtsldsl.runtime.data import Splits, load_data
from mtsldsl.tables.sample_parts import Mark, Marks, parted
from tests.runtime.data.factories import spec, task

AGE = task("age", Target("values", 1), dense=False)

TEXT = """mtl 1

data {kind} {{
  path = "a.npz"
  input = row(4)
  seed = 0
  {more}
}}

task kind {{
  target = classes(2)
  head = linear(2)
}}

backbone {{
  hidden = linear(4) | relu
}}

train {{
  epochs = 1
}}
"""


def parts(path: Path, options: dict[str, Constant], **arrays: np.ndarray) -> list[list[int]]:
    """The numbers of the samples in each split of arrays whose samples are numbered."""
    np.savez(path, **arrays)
    return [each.fields["age"].flatten().int().tolist() for _, each in of_file(path, options).named()]


def of_file(path: Path, options: dict[str, Constant]) -> Splits:
    return load_data(spec("arrays", (AGE,), (1,), input_name="row", path=str(path), **options))


def numbered(count: int, prefix: str = "", start: int = 0) -> dict[str, np.ndarray]:
    age = np.arange(start, start + count, dtype=np.float32)
    return {f"{prefix}row": age[:, None], f"{prefix}age": age}


# By the seed ----------------------------------------------------------------------------------------------------------


def test_the_parts_of_a_seed_are_what_they_always_were() -> None:
    assert divided(10, 0.2, 0)[1].tolist() == [4, 6]
    assert divided(12, 0.25, 7)[1].tolist() == [4, 6, 10]
    assert divided(3, 0.01, 1)[1].tolist() == [0]


# By classes -----------------------------------------------------------------------------------------------------------


@given(strata=st.lists(st.integers(0, 4), min_size=2, max_size=60), part=st.floats(0.02, 0.9), seed=st.integers(0, 99))
def test_every_class_has_its_share_as_near_as_whole_samples_allow(strata: list[int], part: float, seed: int) -> None:
    kinds = np.array(strata)
    rest, held = divided(len(kinds), part, seed, kinds)
    assert sorted([*rest, *held]) == list(range(len(kinds)))
    assert len(held) == len(divided(len(kinds), part, seed)[1])
    counts, found = Counter(strata), Counter(kinds[held].tolist())
    assert all(abs(found[each] - counts[each] * len(held) / len(kinds)) < 1 for each in counts)
    # no sample could be of another class and make it nearer
    short = [counts[each] * len(held) / len(kinds) - found[each] for each in counts]
    assert max(short) - min(short) <= 1 + 1e-9
    assert np.array_equal(held, divided(len(kinds), part, seed, kinds)[1])


@given(
    counts=st.lists(st.integers(2, 40), min_size=2, max_size=5),
    part=st.floats(0.1, 0.5),
    seed=st.integers(0, 99),
)
def test_classes_have_as_many_samples_as_scikit_learn_gives_them(counts: list[int], part: float, seed: int) -> None:
    kinds = np.repeat(np.arange(len(counts)), counts)
    held = divided(len(kinds), part, seed, kinds)[1]
    rests = [count * len(held) % len(kinds) for count in counts]
    taken = sum(count * len(held) // len(kinds) for count in counts)
    ordered = sorted(rests, reverse=True)
    extra = len(held) - taken
    assume(extra == 0 or ordered[extra - 1] != ordered[extra])  # of equal rests either may have one more
    assume(len(counts) <= len(held) <= len(kinds) - len(counts))
    split = StratifiedShuffleSplit(1, test_size=len(held), random_state=0).split(kinds, kinds)
    _, theirs = next(iter(split))
    assert np.bincount(kinds[held]).tolist() == np.bincount(kinds[theirs]).tolist()


def test_classes_of_a_table_and_of_arrays_are_divided_alike_and_missing_ones_are_a_class(tmp_path: Path) -> None:
    kind = np.array([2.0] * 30 + [0.0] * 15 + [np.nan] * 5)
    options: dict[str, Constant] = {"stratify": "kind", "test": 0.2, "validation": 0.25, "seed": 3}
    found = parts(tmp_path / "a.npz", options, **numbered(50), kind=kind)
    shares = [Counter(str(kind[row]) for row in part) for part in found]
    assert shares == [{"2.0": 18, "0.0": 9, "nan": 3}, {"2.0": 6, "0.0": 3, "nan": 1}, {"2.0": 6, "0.0": 3, "nan": 1}]
    words = ["2" if label == 2 else "0.0" if label == 0 else "" for label in kind]
    lines = ["row,age,kind", *(f"{row},{row},{word}" for row, word in enumerate(words))]
    (tmp_path / "a.csv").write_text("\n".join(lines), encoding="utf-8")
    table = load_data(
        spec("table", (AGE,), (1,), input_name="row", path=str(tmp_path / "a.csv"), inputs=("row",), **options)
    )
    assert [each.fields["age"].flatten().int().tolist() for _, each in table.named()] == found


# As many as are trained on --------------------------------------------------------------------------------------------


@given(count=st.integers(1, 60), seed=st.integers(0, 99), data=st.data())
def test_fewer_training_samples_are_some_of_more(count: int, seed: int, data: st.DataObject) -> None:
    more = data.draw(st.integers(1, count))
    fewer = data.draw(st.integers(1, more))
    one, other = (trained_on(count, wanted, seed, "`a`").tolist() for wanted in (fewer, more))
    assert (len(one), len(other)) == (fewer, more)
    assert set(one) <= set(other) <= set(range(count))
    assert (one, other) == (sorted(one), sorted(other))
    assert trained_on(count, None, seed, "`a`").tolist() == list(range(count))


def test_which_samples_are_trained_on_is_drawn_with_equal_chances() -> None:
    drawn = np.stack([np.bincount(trained_on(10, 3, seed, "`a`"), minlength=10) for seed in range(2000)])
    shares = drawn.mean(0)
    assert abs(shares - 0.3).max() < 5 * (0.3 * 0.7 / 2000) ** 0.5


def test_fewer_training_samples_leave_validation_and_test_as_they_are(tmp_path: Path) -> None:
    more: dict[str, dict[str, Constant]] = {
        "": {},
        "split": {"split": "part"},
        "group": {"group": "person"},
        "stratify": {"stratify": "kind"},
    }
    part = np.array(["train", "test", "validation", "train", "train"] * 12)
    arrays = {**numbered(60), "part": part, "person": np.arange(60) // 3, "kind": np.arange(60) % 3 == 0}
    for name, options in more.items():
        whole = parts(tmp_path / "a.npz", {**options, "validation": 0.2}, **arrays)
        few = parts(tmp_path / "a.npz", {**options, "validation": 0.2, "train_samples": 15}, **arrays)
        assert few[1:] == whole[1:], name
        assert len(few[0]) == 15
        assert set(few[0]) < set(whole[0])
        if name == "stratify":
            assert Counter(row % 3 == 0 for row in few[0]) == {False: 10, True: 5}


def test_parts_that_are_given_have_fewer_training_samples_too(tmp_path: Path) -> None:
    arrays = {**numbered(40, "train/"), **numbered(8, "test/", 40), **numbered(5, "validation/", 48)}
    found = parts(tmp_path / "a.npz", {"train_samples": 10}, **arrays)
    assert [len(each) for each in found] == [10, 5, 8]
    assert set(found[0]) < set(range(40))


def test_more_than_there_are_to_train_on_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(MtlError) as caught:
        parts(tmp_path / "a.npz", {"train_samples": 44}, **numbered(60))
    assert "has 43 samples to train on, fewer than `train_samples = 44`" in str(caught.value)
    assert "write at most 43, or leave `train_samples` out" in str(caught.value)


def test_inputs_of_a_table_are_fitted_to_the_samples_that_are_trained_on(tmp_path: Path) -> None:
    ages = np.random.default_rng(0).normal(size=50).round(3)
    (tmp_path / "a.csv").write_text("\n".join(["row,age", *(f"{age},{n}" for n, age in enumerate(ages))]))
    options: dict[str, Constant] = {"path": str(tmp_path / "a.csv"), "inputs": ("row",), "train_samples": 12}
    found = load_data(spec("table", (AGE,), (1,), input_name="row", **options))
    own = ages[found.train.fields["age"].flatten().int().numpy()]
    expected = (own - own.mean()) / own.std()
    assert len(own) == 12
    assert np.allclose(found.train.fields["row"].flatten().numpy(), expected, atol=1e-5)


def test_all_samples_to_train_on_leave_the_hash_as_it_was() -> None:
    spec_of_all = loads(TEXT.format(kind="arrays", more=""))
    assert '"train_samples"' not in str(normal_form(spec_of_all)).replace("'", '"')
    assert digest(spec_of_all) == digest(loads(TEXT.format(kind="arrays", more="train_samples = none")))
    assert digest(spec_of_all) != digest(loads(TEXT.format(kind="arrays", more="train_samples = 8")))


# By what is said ------------------------------------------------------------------------------------------------------


def test_an_array_may_say_the_split(tmp_path: Path) -> None:
    part = np.array(["train", "Test", "validation", "train", "test"] * 4)
    found = parts(tmp_path / "a.npz", {"split": "my part"}, **numbered(20), **{"my part": part})
    expected = [[row for row in range(20) if part[row].lower() == split] for split in ("train", "validation", "test")]
    assert found == expected
    drawn = parts(
        tmp_path / "a.npz", {"split": "part", "validation": 0.25}, **numbered(20), part=np.where(part == "Test", "test", "train")
    )  # fmt: skip
    assert [len(each) for each in drawn] == [12, 4, 4]


@given(people=st.lists(st.integers(0, 9), min_size=30, max_size=60), seed=st.integers(0, 99))
def test_no_group_of_arrays_is_in_two_parts(people: list[int], seed: int) -> None:
    assume(len(set(people)) > 3)
    words = [str(each) for each in people]
    mark = Mark("`person`", words, str, lambda rows, what, remedy: MtlError.of("MTL602", what, remedy))
    found = parted("`a`", len(people), Marks(group=mark), Shares(0.1, 0.2, None, seed))
    assert sorted(row for rows in found.values() for row in rows.tolist()) == list(range(len(people)))
    persons = [{people[row] for row in rows} for rows in found.values()]
    assert all(persons)
    assert sum(map(len, persons)) == len(set(people))


def test_groups_and_classes_of_arrays_that_are_named_by_split_divide_those_of_training(tmp_path: Path) -> None:
    person = np.arange(40) // 4
    arrays = {
        **numbered(40, "train/"), "train/person": person, "train/kind": np.arange(40) % 2 == 0,
        **numbered(8, "test/", 40), "test/person": np.full(8, 99), "test/kind": np.ones(8),
    }  # fmt: skip
    grouped = parts(tmp_path / "a.npz", {"group": "person", "validation": 0.3}, **arrays)
    assert [len(each) for each in grouped] == [28, 12, 8]
    assert {person[row] for row in grouped[0]}.isdisjoint(person[row] for row in grouped[1])
    shares = parts(tmp_path / "a.npz", {"stratify": "kind", "validation": 0.3}, **arrays)
    assert Counter(row % 2 for row in shares[1]) == {0: 6, 1: 6}


def test_samples_of_a_field_of_its_own_have_groups_of_their_own(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "a.npz",
        **{"age/row": np.ones((20, 1)), "age/target": np.arange(20.0), "age/person": np.arange(20) // 2},
    )
    chosen = spec(
        "arrays", (AGE,), (1,), input_name="row", path=str(tmp_path / "a.npz"), apart=True, group="person"
    )  # fmt: skip
    ages = [set((each.fields["age"].flatten().int() // 2).tolist()) for _, each in load_data(chosen).named()]
    assert sum(map(len, ages)) == 10


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        ({}, {"group": "person"}, r"MTL603.*no array `person`"),
        ({"person": np.ones((10, 2))}, {"group": "person"}, r"MTL602.*`person` of .* is 10 x 2, and there are 10 (.|\n)*argmax\(axis=1\)"),
        ({"person": np.ones(9)}, {"group": "person"}, r"MTL602.*`person` of .* is 9, and there are 10 samples"),
        ({"person": np.array([None] * 10)}, {"group": "person"}, r"MTL602.*array of objects(.|\n)*astype\(str\)"),
        ({"person": np.array([1.0] * 9 + [np.nan])}, {"group": "person"}, r"MTL602.*row 9 \(from 0\) of `person`.*says no group"),
        ({"person": np.ones(10)}, {"group": "person"}, r"MTL804.*has 1 group, and none is left for train"),
        ({"part": np.array(["train"] * 9 + ["val"])}, {"split": "part"}, r"MTL602.*row 9 .*`val`, which is no split(.|\n)*write `validation`"),
        ({"kind": np.arange(10.0)}, {"stratify": "kind"}, r"MTL602.*row 0 .* holds `0`.* with 10 of 10: these are no classes"),
        (
            {"kind": np.ones(10), "part": np.array(["train", "test", "validation", "train", "test"] * 2)},
            {"stratify": "kind", "split": "part"},
            r"MTL602.*nothing is left to `stratify`",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said_with_its_row(
    tmp_path: Path, arrays: dict[str, np.ndarray], options: dict[str, Constant], message: str
) -> None:
    with pytest.raises(MtlError, match=message):
        parts(tmp_path / "a.npz", options, **numbered(10), **arrays)


def test_names_and_an_array_that_both_say_the_split_are_refused(tmp_path: Path) -> None:
    arrays = {**numbered(8, "train/"), **numbered(4, "test/"), "train/part": np.full(8, "train"), "test/part": np.full(4, "test")}  # fmt: skip
    with pytest.raises(MtlError, match=r"MTL602.*`train/part` of .* and so do names as `train/` and `test/`"):
        parts(tmp_path / "a.npz", {"split": "part"}, **arrays)


def test_groups_that_are_to_be_stratified_are_refused_by_check() -> None:
    text = TEXT.format(kind="arrays", more='group = "person"\n  stratify = "kind"')
    (wrong,) = check(Source("s.mtl", text)).errors
    assert (wrong.code, wrong.place[0]) == ("MTL202", 8)
    assert "leave one of them out" in wrong.remedy


def test_fields_stay_together_however_they_are_divided(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **numbered(30), kind=np.arange(30) % 3)
    for options in ({"stratify": "kind"}, {"group": "kind", "test": 0.3}):
        for _, samples in of_file(tmp_path / "a.npz", dict(options)).named():
            assert torch.equal(samples.fields["row"], samples.fields["age"])


def test_a_spec_without_these_keys_has_the_hash_that_it_always_had() -> None:
    for kind in ("arrays", "table"):
        text = TEXT.format(kind=kind, more='inputs = ["x"]' if kind == "table" else "apart = false")
        plain = loads(text)
        options = normal_form(plain)["data"]["options"]
        assert "stratify" not in options
        assert ("split" in options) == (kind == "table")
        assert digest(loads(text.replace("seed = 0", 'seed = 0\n  stratify = "kind"'))) != digest(plain)
