"""The page of a run: all in numbers where tasks are few, folded and drawn where they are many, and never a warning."""

from __future__ import annotations

import json
import math
import re
import tempfile
from functools import cache
from html import unescape
from pathlib import Path

import attrs
import pytest

from mtsldsl.diagnostics import Source
from mtsldsl.editing import loads
from mtsldsl.runtime.run.drawing import COLOURS, Series, curves, matrix_map
from mtsldsl.runtime.run.event_json import from_json
from mtsldsl.runtime.run.folder import RunFolder
from mtsldsl.runtime.run.kept_epoch import first_facts
from mtsldsl.runtime.run.record_file import EventLog, read_events
from mtsldsl.runtime.run.report import run_page
from tests import page_rules, prepared


def spec_text(count: int) -> str:
    tasks = (f"task t{n:02d} {{\n  target = values(1)\n  head   = linear(1)\n}}\n" for n in range(count))
    return (
        'mtl 1\n\ndata arrays {\n  path  = "a.npz"\n  input = row(4)\n}\n\n'
        + "\n".join(tasks)
        + "\nbackbone {\n  stem = linear(4) | relu\n}\n\ntrain {\n  epochs = 3\n}\n\nsharing {\n  stem = all\n}\n"
    )


def run(count: int, root: Path) -> RunFolder:
    """A run folder with the events of such a run."""
    spec = loads(spec_text(count))
    names = [task.name for task in spec.tasks]
    folder = RunFolder.create(root, "many")
    folder.write_spec(spec.source, "start")
    folder.events.touch()
    log = EventLog(folder.events, lambda _: None)

    def write(kind: str, **fields: object) -> None:
        event = from_json({"event": kind, **fields})
        assert event is not None
        log.write(event)

    metrics = {name: {"rmse": 0.5, "mae": 0.25} for name in names}
    losses = dict.fromkeys(names, 1.0)
    matrix = [[1.0 if i == j else 1 / (2 + min(i, j) + max(i, j) / 100) for j in range(count)] for i in range(count)]
    write(
        "start",
        spec="many.mtl",
        tasks=names,
        layers=["stem"],
        method="mtsl",
        balance="equal",
        epochs=3,
        seed=0,
        device="cpu",
        threads=1,
        torch="2",
        parameters=2000,
    )
    write("constant", split="validation", metrics=metrics)
    for epoch in (1, 2, 3):
        write("epoch", epoch=epoch, losses=dict.fromkeys(names, 1 / epoch))
        if epoch == 2:
            write("similarity", epoch=2, layer="stem", tasks=names, similarity=matrix, threshold=0.1)
            write(
                "phase",
                epoch=2,
                method="mtsl",
                places=1,
                merges=[{"layer": "stem", "tasks": names, "similarity": 0.5}],
                before={"losses": losses},
                after={"losses": losses},
                parameters=1000,
            )
        if epoch == 3:
            write("phase", epoch=3, method="mtsl", places=0, merges=[])
        write("validation", epoch=epoch, metrics=metrics)
    write("test", metrics=metrics, epochs=dict.fromkeys(names, 3), chosen_by="gain", parameters=1000)
    return folder


@cache
def page(count: int) -> str:
    with tempfile.TemporaryDirectory() as root:
        return run_page(run(count, Path(root)))


def test_a_few_tasks_stand_in_numbers_and_each_loss_has_an_axis_of_its_own() -> None:
    text = page(5)
    assert text.count('<td class="number">1.000</td>') == 5  # the diagonal
    assert text.count("<svg role") == 5 + 5
    assert {f"The loss of t{n:02d} over the epochs" for n in range(5)} <= set(re.findall('aria-label="([^"]*)"', text))


@pytest.mark.soak
def test_many_tasks_are_folded_and_their_similarities_a_map() -> None:
    text = page(40)
    assert text.count("<details>") == text.count("</details>") == 6
    assert ', after epoch 2"' in text
    assert text.count("<svg role") == 40 + 1 + 40
    said = re.sub(r"\s+", " ", text)
    assert "The most similar: t00 ~ t01 0.498, t00 ~ t02 0.495, t00 ~ t03 0.493;" in said
    assert "the least: t37 ~ t38 0.025, t37 ~ t39 0.025, t38 ~ t39 0.025." in said
    assert "no tasks are left that could merge" in text
    assert len(text) < 2_000_000


def write(folder: RunFolder, kind: str, /, **fields: object) -> None:
    event = from_json({"event": kind, **fields})
    assert event is not None
    EventLog(folder.events, lambda _: None).write(event)


def test_what_a_balance_weighed_is_a_curve_of_each_task(tmp_path: Path) -> None:
    folder = run(5, tmp_path)
    before = run_page(folder)
    assert "Weight of each task" not in before
    for epoch in (1, 2, 3):
        weights = {f"t{n:02d}": [1.0 / epoch, None] for n in range(5)}
        write(folder, "balance", epoch=epoch, steps=[1, 2], weights=weights)
    text = run_page(folder)
    assert "Weight of each task" in text
    assert text.count("<svg role") == before.count("<svg role") + 5


def test_the_weights_that_a_run_began_with_are_told_among_what_it_is_repeated_with(tmp_path: Path) -> None:
    folder = run(2, tmp_path)
    text = "5 of 5 layers begin with the ResNet of torchvision in resnet18.safetensors"
    assert text not in run_page(folder)
    write(folder, "begun", text=text, sha256="5e0f")
    _, _, told = run_page(folder).partition("How to repeat it")
    assert f"{text}; their SHA-256 is 5e0f" in told


def test_the_shares_of_gradients_are_a_chart_and_a_table(tmp_path: Path) -> None:
    folder = run(3, tmp_path)
    for epoch, norm in ((1, 6.0), (3, 2.0)):
        write(
            folder,
            "gradients",
            epoch=epoch,
            norms={"t00": norm, "t01": 0.5, "t02": None},
            weights={"t00": 1.0, "t01": 4.0, "t02": 1.0},
            together=[["t00", "t01", "t02"]],
        )
    text = run_page(folder)
    assert row_of(text, "Gradients on shared weights") == [
        ["task", "norm", "weight", "share"],
        ["t00", "2", "1", "50.0 %"],
        ["t01", "0.5", "4", "50.0 %"],
        ["t02", "-", "1", "-"],
    ]
    legend = re.findall(r'<span style="color: (#\w+)">(.)</span> (\w+)</span>', text)
    assert [name for *_, name in legend if name.startswith("t0")] == ["t00", "t01"]
    assert len({colour for colour, *_ in legend}) == len({sign for _, sign, _ in legend}) == 2


def row_of(text: str, label: str) -> list[list[str]]:
    """The cells of the table in a box of that name."""
    (table,) = re.findall(rf'aria-label="{label}, which may be scrolled">\s*<table>(.*?)</table>', text, re.S)
    rows = re.findall("<tr>(.*?)</tr>", table, re.S)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", each, re.S) for each in rows]
    return [[re.sub("<[^>]*>", "", cell).strip() for cell in each] for each in cells]


@pytest.mark.parametrize("count", [5, pytest.param(40, marks=pytest.mark.soak)])
def test_every_table_stands_where_it_can_be_scrolled(count: int) -> None:
    text = page(count)
    assert text.count("<table>") > 2
    assert len(re.findall(r'which may be scrolled">\s*<table>', text)) == text.count("<table>")


def test_every_number_of_the_page_is_that_of_the_record(tmp_path: Path) -> None:
    folder = run(3, tmp_path)
    numbers = {f"t{n:02d}": {"rmse": 0.123456 * (n + 1), "mae": None if n else 12345.678} for n in range(3)}
    plain = {task: {name: 7.5 + n for n, name in enumerate(each)} for task, each in numbers.items()}
    write(folder, "constant", split="validation", metrics=plain)
    write(
        folder,
        "test",
        metrics=numbers,
        epochs={"t00": 2, "t01": 3, "t02": 3},
        keep="best",
        chosen_by="gain",
        parameters=1234,
    )
    write(folder, "single_task", folder="runs/many/7", metrics={task: {"rmse": 3.25} for task in numbers})
    write(folder, "warning", about="data", text="<something> is odd")
    write(folder, "end", folder="x", seconds=12.34, peak_memory_mb=1234.5)
    text = run_page(folder)
    assert row_of(text, "Results on the test set") == [
        ["task", "metric", "test", "single task", "constant", "epoch"],
        ["t00", "rmse &darr;", "0.1235", "3.25", "7.5", "2"],
        ["t00", "mae &darr;", "1.235e+04", "-", "8.5", "2"],
        ["t01", "rmse &darr;", "0.2469", "3.25", "7.5", "3"],
        ["t01", "mae &darr;", "-", "-", "8.5", "3"],
        ["t02", "rmse &darr;", "0.3704", "3.25", "7.5", "3"],
        ["t02", "mae &darr;", "-", "-", "8.5", "3"],
    ]
    assert "<dd>2 to 3 of 3, by task: t00 2, t01 3, t02 3</dd>" in text
    assert "12.34 s in all, with at most 1,234 MB of memory" in text
    assert "2,000 at the start, 1,234 at the end" in text
    for epoch in (4, 5):
        write(folder, "epoch", epoch=epoch, losses={}, epoch_seconds=7.25)
    write(folder, "resume", epoch=3)
    gone_on = list(read_events(folder.events))
    assert ("Time", "14.5 s in its epochs, with at most 1,234 MB of memory") in list(first_facts(gone_on))
    assert "&lt;something&gt; is odd" in text
    spec = loads(spec_text(3))
    shared, alone = spec.cost(), attrs.evolve(spec, sharing=spec.sharing.apart()).cost()
    assert f"{shared.parameters:,} parameters in place of {alone.parameters:,}" in text
    less = 100 * (1 - shared.parameters / alone.parameters)
    assert f"<strong>{less:.1f} % fewer parameters and" in text
    assert less > 10


def test_the_page_begins_with_the_sharing_its_saving_the_epoch_kept_and_the_command(tmp_path: Path) -> None:
    folder = run(3, tmp_path)
    first = json.loads(folder.events.read_text(encoding="utf-8").splitlines()[0])
    kind = first.pop("event")
    write(folder, kind, **{**first, "command": "mtsldsl train a.mtl --set x=1", "version": "9"})
    body = run_page(folder).partition("<body>")[2]
    places = [body.index(each) for each in ("% fewer", '<svg class="sharing"', "Epoch kept", "mtsldsl train a.mtl")]
    assert places == sorted(places)
    assert places[-1] < body.index("<h2>")
    assert "mtsldsl 9, torch 2" in body


def test_the_page_is_well_made_and_needs_nothing_else(tmp_path: Path) -> None:
    folder = run(3, tmp_path)
    write(folder, "confusion", task="t00", classes=12, count=3, right=1, most=[[0, 1, 2]], matrix=[[1] * 12] * 12)
    page_rules.check(run_page(folder))


def test_the_sharing_is_drawn_after_each_phase_that_changed_it(tmp_path: Path) -> None:
    folder = run(3, tmp_path)
    assert "Sharing over time" not in run_page(folder)
    for epoch, tasks in ((2, "t00 + t01, t02"), (11, "t00 + t01 + t02")):
        folder.write_spec(
            Source("many.mtl", spec_text(3).replace("stem = all", f"stem = {tasks}")), f"epoch-{epoch:03d}"
        )
    text = run_page(folder)
    drawings = re.findall(r'<svg class="sharing".*?</svg>', text, re.S)
    assert [re.findall('role="img" aria-label="([^"]*)"', each) for each in drawings] == [
        ["The sharing that is kept"],
        ["The sharing at the start"],
        ["The sharing after epoch 2"],
        ["The sharing after epoch 11"],
    ]
    boxes = [re.findall('<rect class="(shared|own)"', each) for each in drawings]
    assert boxes == [["shared"], ["shared"], ["shared", "own"], ["shared"]]


def test_the_spec_at_the_start_is_told_where_another_one_is_kept(tmp_path: Path) -> None:
    folder = run(2, tmp_path)
    assert "started with" not in run_page(folder)
    folder.write_spec(Source("many.mtl", spec_text(2).replace("= all", "= t00, t01")), "epoch-002")
    _, _, told = run_page(folder).partition("How to repeat it")
    assert list(map(unescape, re.findall("<pre>(.*?)</pre>", told, re.S))) == [spec_text(2)]


@pytest.mark.soak
def test_a_page_of_many_tasks_is_written_without_a_warning(tmp_path: Path) -> None:
    folder = run(24, tmp_path)  # pyplot would warn of more than 20 figures
    program = (
        "import warnings\nwarnings.simplefilter('error')\nfrom pathlib import Path\n"
        "from mtsldsl.runtime.run.report import run_page\nfrom mtsldsl.runtime.run.folder import RunFolder\n"
        f"run_page(RunFolder.open(Path({str(folder.path)!r})))\n"
    )
    done = prepared.run("-c", program)
    assert (done.returncode, done.stderr) == (0, "")


def points(drawing: str) -> list[list[tuple[float, float]]]:
    """The corners of the curves, in the order of their colours; y grows downwards."""
    lines = re.findall(r'<path d="([^"]*)" clip-path="[^"]*" style="fill: none; stroke: (#\w+)', drawing)
    drawn = [line for colour in COLOURS for line, stroke in lines if stroke == colour]
    return [[(float(x), float(y)) for x, y in re.findall(r"[ML] (\S+) (\S+)", line)] for line in drawn]


def test_curves_are_drawn_to_scale() -> None:
    one, other = points(
        curves([Series("a", ((1, 2.0), (2, 4.0), (5, 6.0))), Series("b", ((1, 6.0), (5, 2.0)))], [], 640, 240)
    )
    (left, bottom), (middle, half), (right, top) = one
    assert 0 < left < right < 640
    assert 0 < top < bottom < 240
    assert middle == pytest.approx(left + (right - left) / 4, abs=0.1)
    assert half == pytest.approx((top + bottom) / 2, abs=0.1)
    assert other == [(left, top), (right, bottom)]


def test_a_value_that_is_not_finite_is_left_out_of_its_curve() -> None:
    (line,) = points(curves([Series("a", ((1, 1.0), (2, math.nan), (3, math.inf), (4, 2.0)))], [], 640, 240))
    assert len(line) == 2
    assert curves([Series("a", ((1, math.nan),))], [], 640, 240) == ""


@pytest.mark.parametrize("series", [((1, 3.0),), ((1, 3.0), (2, 3.0)), ((1, 0.0), (2, 0.0))])
def test_a_curve_of_one_value_is_drawn(series: tuple[tuple[int, float], ...]) -> None:
    drawing = curves([Series("a", series)], [1], 640, 240)
    assert drawing.startswith("<svg")
    assert "nan" not in drawing
    assert COLOURS[0] in drawing


def test_a_map_is_palest_at_0_and_darkest_at_1() -> None:
    drawing = matrix_map(["a", "b"], [[1.0, -0.5], [0.5, 2.0]])
    darkest, palest, between, beyond = re.findall(r'style="fill: (#\w+)"/>', drawing)[-4:]
    assert darkest == beyond == "#08306b"
    assert palest == "#f7fbff"
    assert between not in (darkest, palest)


def test_the_same_run_draws_the_same_bytes() -> None:
    series = [Series("a", ((1, 1.0), (2, 3.0)))]
    assert curves(series, [1], 640, 240) == curves(series, [1], 640, 240)
