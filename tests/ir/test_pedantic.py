"""What `check --pedantic` warns of: the `.expected` file beside each text, and texts about which it says nothing.

`UPDATE_EXPECTED=1 pytest tests/ir/test_pedantic.py` writes the reports anew; read the difference.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mtsldsl.diagnostics import CODES, Diagnostic, Severity, Source, render_all
from mtsldsl.editing import load
from mtsldsl.editing.checking import check
from mtsldsl.ir.pedantic import warnings
from mtsldsl.syntax import read_source
from tests.ir.specs import BODY

TEXTS = sorted((Path(__file__).parent / "pedantic").glob("*.mtl"))
ROOT = Path(__file__).parents[2]
SPECS = sorted([*(ROOT / "specs").rglob("*.mtl"), *(ROOT / "mtsldsl" / "cli" / "starters").glob("*.mtl")])


def found(text: str) -> list[tuple[str, int]]:
    """The code and line of each warning of a sound text."""
    report = check(Source("s.mtl", text), pedantic=True)
    assert report.errors == ()
    return [(each.code, each.place[0]) for each in report.diagnostics]


def codes(text: str) -> list[str]:
    return [code for code, _ in found(text)]


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_the_warnings_of_a_text_are_as_expected(path: Path) -> None:
    report = check(Source(path.name, read_source(path).text), pedantic=True)
    text = f"{render_all(report.diagnostics)}\n"
    expected = path.with_suffix(".expected")
    if os.environ.get("UPDATE_EXPECTED"):
        expected.write_text(text, encoding="utf-8")
    assert text == expected.read_text(encoding="utf-8")


@pytest.mark.parametrize(("scheduler", "said"), [("one_cycle", ["MTL942"]), ("cosine(by=step)", [])])
def test_a_schedule_that_ends_with_the_epochs_does_not_go_with_a_stop(scheduler: str, said: list[str]) -> None:
    text = BODY.replace("epochs = 4", f"epochs = 4\n  scheduler = {scheduler}\n  stop = patience(3)")
    assert [code for code, _ in found(text)] == said
    assert found(text.replace("patience(3)", "patience(4)")) == []


def _all(path: Path) -> tuple[Diagnostic, ...]:
    return check(Source(path.name, read_source(path).text), pedantic=True).diagnostics


@pytest.mark.parametrize(("patience", "said"), [(3, ["MTL942"]), (4, [])])
def test_a_mean_over_the_last_steps_does_not_go_with_a_stop_that_may_come(patience: int, said: list[str]) -> None:
    text = BODY.replace("epochs = 4", f"epochs = 4\n  keep = average(0.5)\n  stop = patience({patience})")
    assert codes(text) == said


def test_every_warning_is_shown_by_one_of_the_texts() -> None:
    assert {each.code for path in TEXTS for each in _all(path)} == {code for code in CODES if code.startswith("MTL9")}


def test_warnings_are_warnings_in_the_order_of_their_places() -> None:
    for path in TEXTS:
        reported = _all(path)
        assert {each.severity for each in reported} == {Severity.WARNING}
        assert [each.place for each in reported] == sorted(each.place for each in reported)


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_the_specs_of_the_project_have_no_warning(path: Path) -> None:
    assert warnings(load(path)) == ()


def test_an_ordinary_text_has_no_warning() -> None:
    assert codes(BODY) == []


def test_a_text_with_errors_has_no_warnings() -> None:
    report = check(Source("s.mtl", BODY.replace("epochs = 4", "epochs = 0") + "\nlet unused = 3\n"), pedantic=True)
    assert [each.code for each in report.diagnostics] == ["MTL202"]


def test_warnings_come_only_when_they_are_asked_for() -> None:
    assert check(Source("s.mtl", BODY + "\nlet unused = 3\n")).diagnostics == ()


def test_a_constant_that_only_unused_definitions_need_is_unused() -> None:
    text = BODY + "\nlet a = 8\nlet b = a * 2\nblock c = conv2d(b, 3)\n"
    assert [code for code, _ in found(text)] == ["MTL901", "MTL901", "MTL902"]


def test_a_parameter_is_not_the_constant_of_its_name() -> None:
    text = BODY.replace("stem = conv2d(8, 3,", "stem = b(8) | conv2d(8, 3,")
    assert codes(text + "\nlet a = 8\nblock b(a) = conv2d(a, 3) | relu\n") == ["MTL901", "MTL904"]


def test_definitions_of_an_imported_file_need_no_use(tmp_path: Path) -> None:
    (tmp_path / "blocks.mtl").write_text("mtl 1\nlet a = 8\nblock b(c) = conv2d(c, 3)\n", encoding="utf-8")
    path = tmp_path / "spec.mtl"
    path.write_text(BODY + '\nimport "blocks.mtl"\n', encoding="utf-8")
    assert check(read_source(path), pedantic=True).diagnostics == ()


def test_a_head_may_be_larger_than_the_last_layer_but_not_than_all_that_it_reads() -> None:
    head = "head   = conv2d(1, 1) | resize_as(image)"
    assert codes(BODY.replace(head, head.replace("conv2d(1, 1)", "conv2d(16, 3) | relu | conv2d(1, 1)"))) == []
    assert set(codes(BODY.replace(head, head.replace("conv2d(1, 1)", "conv2d(99, 3) | relu | conv2d(1, 1)")))) == {
        "MTL912"
    }


STRUCTURE = "\nstructure mtsl {\n  phases = [1, 2]\n  threshold = 0.8\n}\n"


@pytest.mark.parametrize(
    ("threshold", "similarity", "binds"),
    [
        ("1", "cka", False),
        ("-1", "cka", False),
        ("0", "cka", True),
        ("0", "cka(debiased=false)", False),
        ("0.01", "cka(debiased=false)", True),
        ("0.999", "cka", True),
    ],
)
def test_a_threshold_binds_between_the_least_and_the_largest_similarity(
    threshold: str, similarity: str, binds: bool
) -> None:
    block = STRUCTURE.replace("0.8", f"{threshold}\n  similarity = {similarity}")
    assert codes(BODY + block) == ([] if binds else ["MTL933"])


def test_a_phase_finds_a_frontier_as_long_as_one_place_is_left() -> None:
    shared = "\nsharing {{\n  stem..dec1 = all\n  dec2 = {}\n}}\n"
    alone = "segment, depth, edge, normal"
    assert codes(BODY + STRUCTURE + shared.format(alone)) == []
    assert codes(BODY + STRUCTURE + shared.format("all")) == ["MTL931"]
    assert codes(BODY + STRUCTURE + shared.format("segment + depth, edge + normal")) == ["MTL931"]


@pytest.mark.parametrize(
    ("scheduler", "fits"),
    [
        ("multistep([3])", True),
        ("multistep([4])", False),
        ("multistep([2], gamma=1)", False),
        ("step(3)", True),
        ("step(4)", False),
        ("cosine", True),
        ("cosine(4)", True),
        ("cosine(5)", False),
        ("cosine(3)", False),
        ("exponential(0.9)", True),
        ("exponential(1.1)", False),
        ("none", True),
    ],
)
def test_a_schedule_fits_when_it_comes_to_its_end_in_the_last_epoch(scheduler: str, fits: bool) -> None:
    text = BODY.replace("epochs = 4", f"epochs = 4\n  scheduler = {scheduler}")
    assert codes(text) == ([] if fits else ["MTL942"])


@pytest.mark.parametrize(
    ("optimizer", "usual"),
    [("adam(lr=0.1)", True), ("adamw(lr=0.2)", False), ("sgd(lr=0.2)", True), ("sgd(lr=2)", False)],
)
def test_the_usual_learning_rate_depends_on_the_optimizer(optimizer: str, usual: bool) -> None:
    text = BODY.replace("epochs = 4", f"epochs = 4\n  optimizer = {optimizer}")
    assert codes(text) == ([] if usual else ["MTL941"])


def test_samples_by_default_may_be_more_than_there_are() -> None:
    few = BODY.replace("input = image(3, 32, 32)", "input = image(3, 32, 32)\n  images = 64")
    assert codes(few + STRUCTURE) == []
    assert codes(few + STRUCTURE.replace("threshold = 0.8", "similarity = cka(samples=60)")) == ["MTL934"]


def test_an_ignored_warning_is_not_reported_and_only_on_its_line() -> None:
    assert codes(BODY + "\nlet a = 3  # mtl: ignore MTL901\n") == []
    assert codes(BODY + "\nlet a = 3\n# mtl: ignore MTL901\n") == ["MTL901", "MTL905"]


def test_an_ignored_error_is_not_reported_and_leaves_no_spec() -> None:
    report = check(Source("s.mtl", BODY.replace("epochs = 4", "epochs = 0  # mtl: ignore MTL202")), pedantic=True)
    assert (report.spec, report.diagnostics) == (None, ())
    assert [each.code for each in report.ignored] == ["MTL202"]


def test_the_ignored_code_of_an_error_is_warned_of_where_there_is_none() -> None:
    assert found(BODY.replace("epochs = 4", "epochs = 4  # mtl: ignore MTL202")) == [("MTL905", 36)]


def test_a_batch_is_at_most_the_rendered_training_set() -> None:
    few = BODY.replace("input = image(3, 32, 32)", "input = image(3, 32, 32)\n  images = 32\n  batch = 23")
    assert codes(few) == []
    assert codes(few.replace("batch = 23", "batch = 24")) == ["MTL944"]


def test_a_second_mirroring_is_idle_and_a_second_scaling_is_not() -> None:
    text = BODY.replace("input = image(3, 32, 32)", "input = image(3, 32, 32)\n  augment = [hflip, hflip(p=0.2)]")
    assert codes(text) == ["MTL953"]
    assert codes(text.replace("[hflip, hflip(p=0.2)]", "[random_scale(1, 2), hflip, random_scale(1, 3)]")) == []


def test_batch_norm_in_a_batch_of_one_is_named_also_where_it_is_not_written() -> None:
    alone = BODY.replace("input = image(3, 32, 32)", "input = image(3, 32, 32)\n  batch = 1").replace(
        " | batch_norm", ""
    )
    assert codes(alone) == []
    hidden = alone.replace("enc2 = conv2d(16, 3)", "enc2 = residual(conv2d(16, 3))")
    (warning,) = check(Source("s.mtl", hidden), pedantic=True).diagnostics
    assert warning.cause == (
        "the layer `enc2` has `batch_norm` in the shortcut of its `residual`, and a batch is a single sample"
    )
