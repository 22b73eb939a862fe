"""Which epoch's weights are kept: what `keep` may name, what it means, and who carries it on."""

from __future__ import annotations

import pytest

from mtsldsl.compare.merge import merge_specs
from mtsldsl.compare.spec_difference import compare
from mtsldsl.diagnostics import Diagnostic, MtlError, Source
from mtsldsl.editing import loads
from mtsldsl.editing.fixes import mend
from mtsldsl.editing.load import loads_source
from mtsldsl.ir.normal import digest
from mtsldsl.language import Named
from mtsldsl.language.targets import metric_key

SPEC = """mtl 1

data scenes {
  input = image(3, 64, 64)
}

task [depth, far] {
  target  = values(1)
  head    = conv2d(1, 1) | resize_as(image)
  field   = depth
  metrics = [rmse, abs_rel]
}

task normal {
  target  = unit_vectors
  head    = conv2d(3, 1) | resize_as(image)
  metrics = [mean_angle, within(11.25), within(30)]
}

task edge {
  target  = binary(1)
  head    = conv2d(1, 1) | resize_as(image)
  metrics = [f1(threshold=0.3), bce]
}

backbone {
  stem = conv2d(8, 3) | relu
}

train {
  epochs = 2
  seed   = 1
}
"""


def text(keep: str | None) -> str:
    return SPEC if keep is None else SPEC.replace("  seed ", f"  keep   = {keep}\n  seed ")


def kept(keep: str | None) -> str | Named:
    return loads(text(keep)).train.keep


def reported(keep: str) -> list[Diagnostic]:
    with pytest.raises(MtlError) as caught:
        loads(text(keep))
    return list(caught.value.diagnostics)


@pytest.mark.parametrize(
    ("keep", "meant"),
    [
        (None, "best"),
        ("best", "best"),
        ("last", "last"),
        ("depth.rmse", "depth.rmse"),
        ("far.abs_rel", "far.abs_rel"),
        ("(depth.rmse)", "depth.rmse"),
        ("normal.mean_angle", "normal.mean_angle"),
        ("normal.within(11.25)", "normal.within_11.25"),
        ("normal.within(degrees=30)", "normal.within_30"),
        ("edge.f1", "edge.f1_0.3"),
        ("edge.f1(0.3)", "edge.f1_0.3"),
    ],
)
def test_what_is_kept_is_read_with_the_key_of_its_metric(keep: str | None, meant: str) -> None:
    assert kept(keep) == meant


@pytest.mark.parametrize(("part", "meant"), [("0.1", 0.1), ("1", 1.0), ("part=0.25", 0.25), ("part = 1e-3", 1e-3)])
def test_a_mean_of_the_last_steps_may_be_kept(part: str, meant: float) -> None:
    found = loads(text(f"average({part})")).train
    assert (found.keep, found.average) == (Named("average", {"part": meant}), meant)
    assert loads(text("last")).train.average is None


def test_two_means_of_the_weights_are_one_report() -> None:
    (found,) = reported("average(0.1)\n  ema    = 0.9")
    assert (found.code, found.span and found.span.text) == ("MTL202", "average(0.1)")
    assert str(found.remedy) == "leave one of them out: `ema`, or this with `keep = last`"


def test_every_metric_of_every_task_may_say_what_is_kept() -> None:
    for task in loads(SPEC).tasks:
        for metric in task.metrics:
            written = metric.span.text if metric.span else metric.name
            assert kept(f"{task.name}.{written}") == f"{task.name}.{metric_key(metric)}"


def test_a_constant_may_hold_what_is_kept() -> None:
    assert loads(text("chosen").replace("mtl 1\n", "mtl 1\nlet chosen = edge.bce\n")).train.keep == "edge.bce"


@pytest.mark.parametrize(
    ("keep", "code", "place", "remedy"),
    [
        ("dept.rmse", "MTL402", "dept", "did you mean `depth`?"),
        ("depth.rsme", "MTL206", "rsme", "did you mean `rmse`?"),
        ("depth.mae", "MTL206", "mae", "add `mae` to its `metrics`, or write `depth.rmse` or `depth.abs_rel`"),
        ("depth.miou", "MTL206", "miou", "the known metrics of `depth` are: rmse, abs_rel"),
        ("depth", "MTL206", "depth", "write `depth.rmse` or `depth.abs_rel`"),
        ("rmse", "MTL206", "rmse", "write `depth.rmse` or `far.rmse`"),
        ("lats", "MTL206", "lats", "did you mean `last`?"),
        ("best()", "MTL205", "best()", "write `best` alone"),
        ("averge(0.1)", "MTL206", "averge", "did you mean `average`?"),
        ("average", "MTL204", "average", "add `part=...`"),
        ("average(0)", "MTL202", "0", "give a number of more than 0 and at most 1"),
        ("average(1.1)", "MTL202", "1.1", "give a number of more than 0 and at most 1"),
        ("average(0.1, 0.2)", "MTL205", "0.2", "its arguments are: part"),
        ("average(last=0.1)", "MTL203", "last", "the known arguments are: part"),
        ("normal.within", "MTL206", "within", "write `normal.within(11.25)` or `normal.within(30)`"),
        ("normal.within_30", "MTL206", "within_30", "write `normal.within(30)`"),
        ("normal.within_11.25", "MTL003", ".", "write the metric as its task has it: `normal.within(11.25)`"),
        ("edge.f1(0.4)", "MTL206", "f1", "write `edge.f1(threshold=0.3)`, or add `f1(0.4)` to its `metrics`"),
        ("edge.f1(thresh=0.3)", "MTL203", "thresh", "did you mean `threshold`?"),
        (
            "3",
            "MTL201",
            "3",
            "give `best`, `last`, `average(part)`, or a metric of a task, such as `depth.rmse`",
        ),
    ],
)
def test_what_keep_cannot_name_is_one_report(keep: str, code: str, place: str, remedy: str) -> None:
    (found,) = reported(keep)
    assert (found.code, found.span and found.span.text, str(found.remedy)) == (code, place, remedy)


def test_the_task_and_the_metric_are_each_reported() -> None:
    assert [each.code for each in reported("dept.rsme")] == ["MTL402", "MTL206"]


def test_a_task_that_cannot_be_read_is_reported_alone() -> None:
    with pytest.raises(MtlError) as caught:
        loads(text("edge.recall").replace("binary(1)", "binary(x)"))
    assert [each.code for each in caught.value.diagnostics] == ["MTL107"]


def test_a_fix_mends_the_task_and_the_metric() -> None:
    mended = mend(Source("t.mtl", text("dept.rsme")))
    assert loads_source(mended.report.source).train.keep == "depth.rmse"


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("  seed   = 1", "  train.seed = 1"),
        ("task edge", "task edge.x"),
        ("stem = conv2d(8, 3)", "stem = nn.conv2d(8, 3)"),
        ("stem = conv2d(8, 3)", "stem.a = conv2d(8, 3)"),
        ("image(3, 64, 64)", "im.age(3, 64, 64)"),
        ("field   = depth", "field   = scenes.depth"),
        ("train {", "sharing {\n  stem.a = all\n}\n\ntrain {"),
        ("train {", "sharing {\n  stem = depth.x + far, normal, edge\n}\n\ntrain {"),
    ],
)
def test_a_dot_anywhere_else_is_one_report(right: str, wrong: str) -> None:
    assert right in SPEC
    with pytest.raises(MtlError) as caught:
        loads(SPEC.replace(right, wrong))
    assert len(caught.value.diagnostics) == 1


def test_what_is_kept_counts_in_the_meaning() -> None:
    assert digest(loads(text("best"))) == digest(loads(SPEC))
    assert len({digest(loads(text(keep))) for keep in ("best", "last", "depth.rmse", "far.rmse")}) == 4
    assert len({digest(loads(text(f"average({part})"))) for part in ("0.1", "part=0.1", "0.2")}) == 2
    assert digest(loads(text("edge.f1"))) == digest(loads(text("edge.f1(threshold=0.3)")))


def test_a_difference_in_what_is_kept_is_shown() -> None:
    (change,) = compare(loads(SPEC), loads(text("normal.within(30)"))).keys
    assert (change.key, change.before, change.after) == ("train.keep", "best", "normal.within_30")
    (change,) = compare(loads(text("average(0.1)")), loads(text("average(part=0.2)"))).keys
    assert (change.key, change.before, change.after) == ("train.keep.part", 0.1, 0.2)


@pytest.mark.parametrize("setting", ["last", "depth.rmse", "normal.within(30)", "average(0.1)"])
def test_what_is_kept_is_set_from_outside(setting: str) -> None:
    for before in (SPEC, text("best")):
        found = loads_source(Source("t.mtl", before), {"train.keep": setting})
        assert found.train.kept == setting.replace("(30)", "_30")


MEAN = ("average(0.1)", Named("average", {"part": 0.1}))


def test_a_merge_carries_the_new_name_of_a_task_into_what_is_kept() -> None:
    base, ours = (Source("spec.mtl", each) for each in (SPEC, SPEC.replace("task edge", "task border")))
    for keep, meant in (("edge.bce", "border.bce"), ("edge.f1(0.3)", "border.f1_0.3"), ("last", "last"), MEAN):
        merged = merge_specs(base, ours, Source("spec.mtl", text(keep)))
        assert not merged.conflicts
        assert loads_source(merged.source).train.keep == meant


def test_a_merge_marks_what_is_kept_by_a_task_that_the_other_side_took_out() -> None:
    first, end = SPEC.index("task edge"), SPEC.index("backbone")
    sides = [Source("spec.mtl", each) for each in (SPEC, SPEC[:first] + SPEC[end:], text("edge.bce"))]
    assert [conflict.key for conflict in merge_specs(*sides).conflicts] == ["task.edge", "train.keep"]
