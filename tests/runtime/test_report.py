"""The page of a run: all in numbers where tasks are few, folded and drawn where they are many, and never a warning."""

from __future__ import annotations

import math
import re
import tempfile
from functools import cache
from pathlib import Path

import pytest

from mtsldsl.editing import loads
from mtsldsl.runtime.run.drawing import COLOURS, Series, curves, matrix_map
from mtsldsl.runtime.run.events import from_json
from mtsldsl.runtime.run.folder import RunFolder
from mtsldsl.runtime.run.record_file import EventLog
from mtsldsl.runtime.run.report import write_report
from tests import prepared


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
        return write_report(run(count, Path(root))).read_text(encoding="utf-8")


def test_a_few_tasks_stand_in_numbers_and_one_chart_with_a_legend() -> None:
    text = page(5)
    assert "<details>" not in text
    assert text.count('<td class="number">1.000</td>') == 5  # the diagonal
    legend = re.findall(r'<span class="key"><span style="color: (#\w+)">&#9632;</span> (\w+)</span>', text)
    assert [name for _, name in legend] == [f"t{n:02d}" for n in range(5)]
    assert len({colour for colour, _ in legend}) == 5
    assert text.count("<svg") == 1 + 5


@pytest.mark.soak
def test_many_tasks_are_folded_and_their_similarities_a_map() -> None:
    text = page(40)
    assert text.count("<details>") == text.count("</details>") == 3  # losses at the phase, the map, training losses
    assert "QuadMesh" in text
    assert text.count("<svg") == 40 + 1 + 40
    assert 'class="key"' not in text
    said = re.sub(r"\s+", " ", text)
    assert "The most similar: t00 ~ t01 0.498, t00 ~ t02 0.495, t00 ~ t03 0.493;" in said
    assert "the least: t37 ~ t38 0.025, t37 ~ t39 0.025, t38 ~ t39 0.025." in said
    assert "no tasks are left that could merge" in text


def test_what_a_balance_weighed_is_a_curve_of_each_task(tmp_path: Path) -> None:
    folder = run(5, tmp_path)
    before = write_report(folder).read_text(encoding="utf-8")
    assert "weight of each task" not in before
    for epoch in (1, 2, 3):
        weights = {f"t{n:02d}": [1.0 / epoch, None] for n in range(5)}
        event = from_json({"event": "balance", "epoch": epoch, "steps": [1, 2], "weights": weights})
        assert event is not None
        EventLog(folder.events, lambda _: None).write(event)
    text = write_report(folder).read_text(encoding="utf-8")
    assert "weight of each task" in text
    assert text.count("<svg") == before.count("<svg") + 1


@pytest.mark.parametrize("count", [5, pytest.param(40, marks=pytest.mark.soak)])
def test_every_table_stands_where_it_can_be_scrolled(count: int) -> None:
    text = page(count)
    assert text.count("<table>") == text.count('<div class="wide"><table>') == text.count("</table></div>") > 3


def test_the_epoch_of_every_task_and_the_constant_answer_are_said() -> None:
    text = page(5)
    assert text.count('<td class="number">epoch 3</td><td>rmse 0.5 (0.5)</td><td>mae 0.25 (0.25)</td>') == 5


@pytest.mark.soak
def test_a_page_of_many_tasks_is_written_without_a_warning(tmp_path: Path) -> None:
    folder = run(24, tmp_path)  # pyplot would warn of more than 20 figures
    program = (
        "import warnings\nwarnings.simplefilter('error')\nfrom pathlib import Path\n"
        "from mtsldsl.runtime.run.report import write_report\nfrom mtsldsl.runtime.run.folder import RunFolder\n"
        f"write_report(RunFolder.open(Path({str(folder.path)!r})))\n"
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
