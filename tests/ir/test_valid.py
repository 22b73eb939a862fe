"""Which values and answers of a target count, what a task without losses and metrics of its own gets, and how the
former argument of the losses becomes the target's."""

from __future__ import annotations

import json

import pytest

from mtsldsl.diagnostics import Diagnostic, MtlError, Source
from mtsldsl.diagnostics.formats import as_json
from mtsldsl.diagnostics.sarif import as_sarif
from mtsldsl.editing import loads
from mtsldsl.editing.fixes import mend
from mtsldsl.ir.normal import digest
from mtsldsl.ir.task_record import Task
from mtsldsl.ir.wording import shown

ROWS = 'data arrays {\n  path  = "x.npz"\n  input = row(6)\n}\n'
IMAGES = 'data arrays {\n  path  = "x.npz"\n  input = image(3, 8, 8)\n}\n'
SCENES = "data scenes {\n  input = image(3, 8, 8)\n}\n"
NYUV2 = 'data nyuv2 {\n  root  = "x"\n  input = image(3, 8, 8)\n}\n'
DENSE, PLAIN = "conv2d(1, 1) | resize_as(image)", "linear(1)"


def text(task: str, data: str = ROWS, before: str = "", name: str = "depth") -> str:
    layer, head = ("linear(4)", PLAIN) if data is ROWS else ("conv2d(4, 1)", DENSE)
    body = f"task {name} {{\n{task}\n  head   = {head}\n}}\n"
    return f"mtl 1\n{before}{data}{body}backbone {{\n  stem = {layer}\n}}\ntrain {{\n  epochs = 1\n}}\n"


def read(task: str, data: str = ROWS, name: str = "depth") -> Task:
    return loads(text(task, data, name=name)).tasks[0]


def reported(whole: str) -> tuple[Diagnostic, ...]:
    with pytest.raises(MtlError) as caught:
        loads(whole)
    return caught.value.diagnostics


@pytest.mark.parametrize(
    ("target", "data", "valid"),
    [
        ("values(1)", ROWS, "finite"),
        ("values", IMAGES, "finite"),  # an array that is called depth is one's own
        ("values(1)", SCENES, "positive"),
        ("values(1)", NYUV2, "positive"),
        ("values(1, valid=finite)", SCENES, "finite"),
        ("values(1, valid=finite)", NYUV2, "finite"),
        ("values(1, valid=positive)", ROWS, "positive"),
        ("values(valid=positive)", IMAGES, "positive"),
        ("values(1, positive)", ROWS, "positive"),
        ("binary(1)", SCENES, "finite"),
    ],
)
def test_which_values_count_is_the_targets_and_above_zero_for_measured_depth_alone(
    target: str, data: str, valid: str
) -> None:
    assert read(f"  target = {target}", data).target.valid == valid


def test_what_counts_is_part_of_the_meaning() -> None:
    finite, positive, said = (
        loads(text(f"  target = values(1{valid})\n  metrics = [mae]")) for valid in ("", ", valid=positive", ", finite")
    )
    assert digest(finite) == digest(said) != digest(positive)
    assert finite == said != positive
    assert shown(positive.tasks[0].target) == "values(1, valid=positive)"
    assert shown(finite.tasks[0].target) == "values(1)"


def test_a_scale_is_part_of_the_meaning() -> None:
    plain, scaled, said = (
        loads(text(f"  target = values(1{scale})")) for scale in ("", ", scale=standard", ", scale=none")
    )
    assert digest(plain) == digest(said) != digest(scaled)
    assert plain == said != scaled
    assert shown(scaled.tasks[0].target) == "values(1, scale=standard)"


@pytest.mark.parametrize("kind", ["classes(3", "binary(1"])
def test_what_is_no_value_has_no_scale(kind: str) -> None:
    (found,) = reported(text(f"  target = {kind}, scale=standard)"))
    assert (found.code, found.place[0]) == ("MTL203", 7)


@pytest.mark.parametrize(
    ("target", "data", "loss", "metrics"),
    [
        ("values(1)", ROWS, "l1", ["rmse", "mae", "r2"]),
        ("values(1)", IMAGES, "l1", ["rmse", "mae", "r2"]),
        ("values(1, valid=positive)", ROWS, "l1", ["rmse", "abs_rel"]),
        ("values(1)", SCENES, "l1", ["rmse", "abs_rel"]),
        ("values(1)", NYUV2, "l1", ["rmse", "abs_rel"]),
        ("values(1, valid=finite)", SCENES, "l1", ["rmse", "mae", "r2"]),
        ("binary(1)", ROWS, "bce", ["f1", "bce"]),
        ("binary(1)", IMAGES, "bce", ["f1", "bce"]),
        ("binary(1)", SCENES, "balanced_bce", ["f1", "bce"]),
        ("binary(1)", NYUV2, "balanced_bce", ["f1", "bce"]),
    ],
)
def test_the_default_loss_and_metrics_are_those_of_the_field(
    target: str, data: str, loss: str, metrics: list[str]
) -> None:
    task = read(f"  target = {target}", data)
    assert task.loss.name == loss
    assert [metric.name for metric in task.metrics] == metrics


def test_an_edge_weighs_more_by_default_than_its_background() -> None:
    assert dict(read("  target = binary(1)", SCENES).loss.arguments) == {"positive_weight": 0.95}


@pytest.mark.parametrize(
    ("written", "ignore"), [("", None), (", ignore=none", None), (", ignore=-1", -1), (", 255", 255)]
)
def test_an_answer_may_stand_for_none(written: str, ignore: int | None) -> None:
    assert read(f"  target = binary(1{written})").target.ignore == ignore


@pytest.mark.parametrize("answer", [0, 1])
def test_yes_and_no_cannot_be_ignored(answer: int) -> None:
    (found,) = reported(text(f"  target = binary(1, ignore={answer})"))
    assert (found.code, found.place[0]) == ("MTL202", 7)


@pytest.mark.parametrize(
    ("before", "data", "after"),
    [
        ("target = values(1)\n  loss   = mse(positive_only=false)", ROWS, "target = values(1)\n  loss   = mse"),
        ("target = values(1)\n  loss   = l1(false)", IMAGES, "target = values(1)\n  loss   = l1"),
        (
            "target = values(1)  # a number\n  loss   = rmse(positive_only=true)  # of it",
            ROWS,
            "target = values(1, valid=positive)  # a number\n  loss   = rmse  # of it",
        ),
        ("loss   = l1(true)\n  target = values", ROWS, "loss   = l1\n  target = values(valid=positive)"),
        ("target = values(1)\n  loss   = l1(positive_only=true)", SCENES, "target = values(1)\n  loss   = l1"),
        (
            "target = values(channels=1)\n  loss   = l1(positive_only=false)",
            NYUV2,
            "target = values(channels=1, valid=finite)\n  loss   = l1",
        ),
        (
            "target = values(1, valid=positive)\n  loss   = l1(positive_only=true)",
            ROWS,
            "target = values(1, valid=positive)\n  loss   = l1",
        ),
    ],
)
def test_the_former_argument_becomes_the_targets_and_nothing_else_changes(before: str, data: str, after: str) -> None:
    former = text(f"  {before}", data)
    (found,) = reported(former)
    assert found.code == "MTL203"
    assert "the target says which values count" in found.cause
    mended = mend(Source("t.mtl", former))
    assert mended.report.source.text == text(f"  {after}", data)
    assert mended.report.diagnostics == ()
    positive = "true" in before  # what it meant, written there or by default
    assert loads(mended.report.source.text).tasks[0].target.valid == ("positive" if positive else "finite")


def test_a_constant_that_is_the_loss_of_several_tasks_is_mended_once() -> None:
    shared = "let usual = mse(positive_only=false)\n"
    tasks = "  target = values(1)\n  loss   = usual"
    former = text(tasks, before=shared) + f"task other {{\n{tasks}\n  head = linear(1)\n}}\n"
    (found,) = reported(former)
    assert found.place == (2, 17)
    mended = mend(Source("t.mtl", former))
    assert mended.report.source.text == former.replace("mse(positive_only=false)", "mse")
    assert mended.report.diagnostics == ()


@pytest.mark.parametrize(
    "task",
    [
        "  target = values(1, valid=finite)\n  loss   = l1(positive_only=true)",  # they say two things
        "  target = usual\n  loss   = l1(positive_only=true)",
        "  target = values(1)\n  loss   = l1(positive_only=1)",
    ],
)
def test_what_cannot_be_mended_with_its_meaning_is_left_to_the_person(task: str) -> None:
    former = text(task, before="let usual = values(1)\n")
    (found,) = reported(former)
    assert (found.code, found.fix) == ("MTL203", None)
    assert mend(Source("t.mtl", former)).report.source.text == former


def test_other_mistakes_of_the_task_are_found_and_mended_beside_it() -> None:
    former = text("  target = values(1)\n  loss   = l1(positive_only=true)\n  weigth = 2").replace("epochs", "epoch")
    assert sorted(each.code for each in reported(former)) == ["MTL104", "MTL104", "MTL203"]
    mended = mend(Source("t.mtl", former))
    right = text("  target = values(1, valid=positive)\n  loss   = l1\n  weight = 2")
    assert mended.report.source.text == right
    places = {(each.code, each.span.line) for each in mended.fixed if each.span}
    assert ("MTL203", 8) in places
    shown_edits = [
        edit.span.text for each in mended.fixed if each.code == "MTL203" and each.fix for edit in each.fix.edits
    ]
    assert shown_edits == ["values(1)", "l1(positive_only=true)"]


def test_both_edits_are_in_the_reports_for_other_programs() -> None:
    found = [("t.mtl", each) for each in reported(text("  target = values(1)\n  loss   = l1(positive_only=true)"))]
    (record,) = json.loads(as_json(found))["diagnostics"]
    assert [(edit["line"], edit["text"]) for edit in record["fix"]["edits"]] == [
        (7, "values(1, valid=positive)"),
        (8, "l1"),
    ]
    (result,) = json.loads(as_sarif(found))["runs"][0]["results"]
    (change,) = result["fixes"][0]["artifactChanges"]
    placed = [(each["deletedRegion"]["startLine"], each["insertedContent"]["text"]) for each in change["replacements"]]
    assert placed == [(7, "values(1, valid=positive)"), (8, "l1")]
