"""`task [a, b] { … }`: the same task for several names."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtsldsl.codegen import model_source
from mtsldsl.diagnostics import MtlError
from mtsldsl.editing import dumps, loads, rewritten
from mtsldsl.ir.normal import digest
from tests.ir.decisions import merge

FRAME = """\
mtl 1

data arrays {{
  path  = "letters.npz"
  input = image(1, 16, 16)
}}

{tasks}
backbone {{
  stem = conv2d(4, 3, stride=2) | relu
  enc1 = conv2d(8, 3, stride=2) | relu
}}

train {{
  epochs = 2
}}
"""
ITEMS = """\
  target  = classes(5, ignore=none)
  head    = adaptive_avg_pool2d(1) | flatten | linear(5)
  metrics = [accuracy]
  weight  = 0.5
"""
NAMES = ("Greek", "Latin", "Korean")
LISTED = FRAME.format(tasks=f"task [Greek, Latin, Korean] {{\n{ITEMS}}}\n")
APART = FRAME.format(tasks="".join(f"task {name} {{\n{ITEMS}}}\n" for name in NAMES))


def problems(tasks: str) -> list[tuple[str, str]]:
    with pytest.raises(MtlError) as caught:
        loads(FRAME.format(tasks=tasks))
    return [(found.code, found.span.text if found.span else "") for found in caught.value.diagnostics]


def test_a_list_means_a_task_for_each_name() -> None:
    listed, apart = loads(LISTED), loads(APART)
    assert listed == apart
    assert digest(listed) == digest(apart)
    assert model_source(listed) == model_source(apart)


def test_each_task_reads_the_field_of_its_name() -> None:
    assert [task.field for task in loads(LISTED).tasks] == list(NAMES)


def test_a_field_that_is_given_is_that_of_all() -> None:
    spec = loads(LISTED.replace("  weight", "  field   = letter\n  weight"))
    assert [task.field for task in spec.tasks] == ["letter"] * 3
    spec = loads(LISTED.replace("  weight", "  field   = Greek\n  weight"))
    assert [task.field for task in spec.tasks] == ["Greek"] * 3


def test_scenes_give_the_field_of_the_target() -> None:
    text = LISTED.replace('arrays {\n  path  = "letters.npz"', "scenes {").replace("(1, 16, 16)", "(3, 16, 16)")
    text = text.replace("adaptive_avg_pool2d(1) | flatten | linear(5)", "conv2d(5, 1) | resize_as(image)")
    assert [task.field for task in loads(text).tasks] == ["label"] * 3


def test_a_list_may_stand_beside_other_tasks_and_lists() -> None:
    tasks = (
        f"task Tagalog {{\n{ITEMS}}}\ntask [Greek, Latin,\n      Korean,] {{\n{ITEMS}}}\ntask [Hebrew] {{\n{ITEMS}}}\n"
    )
    assert [task.name for task in loads(FRAME.format(tasks=tasks)).tasks] == ["Tagalog", *NAMES, "Hebrew"]


def test_sharing_and_history_use_the_single_names() -> None:
    spec = loads(LISTED)
    sharing = spec.sharing.merge("stem", ["Greek", "Korean"])
    after = rewritten(spec, sharing, [merge(1, "stem", ("Greek", "Korean"), 0.75)])
    assert dumps(after).startswith(LISTED)
    assert "stem = Greek + Korean, Latin" in dumps(after)
    assert loads(dumps(after)) == after


def test_what_is_wrong_in_a_list_is_reported_once() -> None:
    assert problems(f"task [a, b, c] {{\n{ITEMS}  wieght = 1\n}}\n") == [("MTL104", "wieght")]
    assert problems("task [a, b] {\n  target = classes(5)\n  head = flatten | linear(4)\n}\n") == [
        ("MTL303", "flatten | linear(4)")
    ]
    assert problems("task [a, b] {\n  target = classes(5)\n}\n") == [("MTL106", "task [a, b")]


def test_a_name_that_is_taken_or_reserved_is_reported_where_it_stands() -> None:
    tasks = f"task a {{\n{ITEMS}}}\ntask [b, a, b, stem, relu, lambda] {{\n{ITEMS}}}\n"
    assert problems(tasks) == [
        ("MTL108", "a"),
        ("MTL108", "b"),
        ("MTL108", "stem"),
        ("MTL109", "relu"),
        ("MTL109", "lambda"),
    ]


def test_only_tasks_come_in_lists() -> None:
    text = LISTED.replace("train {", "train [a] {").replace("data arrays", "data [arrays]")
    with pytest.raises(MtlError) as caught:
        loads(text)
    assert [found.code for found in caught.value.diagnostics] == ["MTL110", "MTL110"]


@pytest.mark.parametrize("path", ["task.Greek.weight", "task.Latin.loss"])
def test_one_task_of_a_list_cannot_be_set_from_outside(path: str) -> None:
    with pytest.raises(MtlError) as caught:
        loads(LISTED, overrides={path: "2"})
    (found,) = caught.value.diagnostics
    assert found.code == "MTL112"
    assert "task [Greek, Latin, Korean]" in found.cause
    assert f"write `task {path.split('.')[1]} {{ ... }}` apart" in found.remedy


def test_a_list_of_one_can_be_set() -> None:
    spec = loads(FRAME.format(tasks=f"task [Greek] {{\n{ITEMS}}}\n"), overrides={"task.Greek.weight": 2})
    assert spec.task("Greek").weight == 2


names = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=6, unique=True)


@given(names, st.data())
@settings(max_examples=30, deadline=None)
def test_tasks_may_be_listed_in_any_groups(names: list[str], data: st.DataObject) -> None:
    cuts = data.draw(st.sets(st.integers(1, len(names))))
    groups = [names[start:end] for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(names)], strict=True)]
    grouped = "".join(f"task [{', '.join(group)}] {{\n{ITEMS}}}\n" for group in groups if group)
    apart = "".join(f"task {name} {{\n{ITEMS}}}\n" for name in names)
    first, second = (loads(FRAME.format(tasks=tasks)) for tasks in (grouped, apart))
    assert first == second
    assert attrs.asdict(first.tasks[-1], recurse=False).keys() == attrs.asdict(second.tasks[-1], recurse=False).keys()
