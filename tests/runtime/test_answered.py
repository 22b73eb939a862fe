"""What a run keeps of its test set: which classes are taken for which, and samples in pictures."""

from __future__ import annotations

import io
from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path
from re import findall
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor
from torchmetrics.classification import BinaryConfusionMatrix, MulticlassConfusionMatrix

from mtsldsl.editing import loads
from mtsldsl.ir import Spec
from mtsldsl.runtime.data import Splits
from mtsldsl.runtime.data.samples import Samples
from mtsldsl.runtime.objectives.confusion import ConfusionCounts, has_confusion
from mtsldsl.runtime.run import final_events
from mtsldsl.runtime.run.answered import MOST_CONFUSED, SAMPLES, SIDE, TASKS, WHOLE, Answered
from mtsldsl.runtime.run.folder import RunFolder
from mtsldsl.runtime.run.record_file import EventLog
from mtsldsl.runtime.run.report import run_page


def spec_of(tasks: Mapping[str, tuple[str, str]], shape: str) -> Spec:
    """A spec whose tasks have these targets and heads."""
    blocks = "\n".join(
        f"task {name} {{\n  target = {target}\n  head = {head}\n}}\n" for name, (target, head) in tasks.items()
    )
    return loads(
        f'mtl 1\n\ndata arrays {{\n  path = "a.npz"\n  input = {shape}\n}}\n\n{blocks}\n'
        "backbone {\n  stem = identity\n}\n\ntrain {\n  epochs = 1\n}\n"
    )


def answered(spec: Spec, fitted: Mapping[str, Any] | None = None) -> Answered:
    none: Samples = Samples({}, {})
    return Answered.of(spec, Splits(none, none, none, fitted={spec.data.name: fitted} if fitted else {}))


def told(seen: Answered, root: Path) -> tuple[RunFolder, list[final_events.Confusion | final_events.Pictures]]:
    folder = RunFolder.create(root, "run")
    folder.write_spec(seen.spec.source, "start")
    found = list(seen.told(folder))
    folder.events.touch()
    log = EventLog(folder.events, lambda _: None)
    for event in found:
        log.write(event)
    return folder, found


@given(
    classes=st.integers(2, 6),
    shape=st.sampled_from([(), (3,), (2, 3)]),
    seed=st.integers(0, 2**31),
    batches=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    ignore=st.booleans(),
)
def test_counts_are_those_of_torchmetrics(
    classes: int, shape: tuple[int, ...], seed: int, batches: list[int], ignore: bool
) -> None:
    target = f"classes({classes}{', ignore=1' if ignore else ''})"
    task = spec_of({"a": (target, f"linear({classes})")}, "row(4)").tasks[0]
    chance = torch.Generator().manual_seed(seed)
    counts = ConfusionCounts(task)
    theirs = MulticlassConfusionMatrix(classes, ignore_index=1 if ignore else -1)
    for size in batches:
        logits = torch.randn(size, classes, *shape, generator=chance)
        labels = torch.randint(0 if ignore else -1, classes, (size, *shape), generator=chance)
        counts.update(logits, labels)
        theirs.update(logits.argmax(1), labels)
    assert counts.counts() == theirs.compute().tolist()


def test_yes_and_no_are_counted_too() -> None:
    task = spec_of({"a": ("binary(1)", "linear(1)")}, "row(4)").tasks[0]
    logits, truth = torch.randn(50, 1), (torch.rand(50, 1) > 0.3).float()
    counts = ConfusionCounts(task)
    counts.update(logits, torch.where(torch.arange(50)[:, None] < 45, truth, torch.nan))
    theirs = BinaryConfusionMatrix()
    theirs.update(logits[:45].sigmoid(), truth[:45].int())
    assert counts.counts() == theirs.compute().tolist()


def test_what_has_no_few_answers_has_no_confusion() -> None:
    spec = spec_of(
        {"a": ("values(1)", "linear(1)"), "b": ("binary(2)", "linear(2)"), "c": ("classes(3000)", "linear(3000)")},
        "row(4)",
    )
    assert not any(map(has_confusion, spec.tasks))


def row_of(classes: int, pairs: list[tuple[int, int]]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """A batch whose labels and answers are these."""
    logits = torch.zeros(len(pairs), classes)
    logits[range(len(pairs)), [answer for _, answer in pairs]] = 1
    return {"a": torch.tensor([true for true, _ in pairs])}, {"a": logits}


def test_the_record_and_the_page_have_every_count_of_a_few_classes(tmp_path: Path) -> None:
    seen = answered(spec_of({"a": ("classes(3)", "linear(3)")}, "row(4)"), {"classes": {"a": ["ant", "bee", "<cow>"]}})
    seen.see(*row_of(3, [(0, 0), (0, 0), (0, 2), (1, 1), (2, 1), (2, 1)]))
    seen.see(*row_of(3, [(2, 2), (-1, 0)]))
    folder, (event,) = told(seen, tmp_path)
    assert isinstance(event, final_events.Confusion)
    assert event.matrix == [[2, 0, 1], [0, 1, 0], [0, 2, 1]]
    assert (event.count, event.right, event.names) == (7, 4, ["ant", "bee", "<cow>"])
    assert event.most == [(2, 1, 2), (0, 2, 1)]
    page = run_page(folder)
    (table,) = findall(r'<tr><th scope="col">true</th>.*?</table>', page.replace("\n", " "))
    assert findall(r'<td class="number">(\d+)<', table) == ["2", "0", "1", "0", "1", "0", "0", "2", "1"]
    assert "a: 4 of 7 right" in page
    assert "&lt;cow&gt; as bee, 2 times; ant as &lt;cow&gt;, 1 time" in page


@pytest.mark.parametrize("classes", [WHOLE, WHOLE + 1])
def test_many_classes_are_drawn_or_said_in_pairs(classes: int, tmp_path: Path) -> None:
    seen = answered(spec_of({"a": (f"classes({classes})", f"linear({classes})")}, "row(4)"))
    seen.see(*row_of(classes, [(true, (true + 1) % classes) for true in range(classes)] * 2))
    folder, (event,) = told(seen, tmp_path)
    assert isinstance(event, final_events.Confusion)
    assert (event.matrix is None) == (classes > WHOLE)
    assert event.most == [(true, true + 1, 2) for true in range(MOST_CONFUSED)]
    page = run_page(folder)
    assert page.count('aria-label="Which classes of a are taken for which"') == (classes <= WHOLE)
    assert "0 as 1, 2 times; 1 as 2, 2 times" in page
    assert len(page) < 250_000


def test_a_set_without_labels_tells_nothing(tmp_path: Path) -> None:
    seen = answered(spec_of({"a": ("classes(3)", "linear(3)")}, "row(4)"))
    seen.see(*row_of(3, [(-1, 0)]))
    assert told(seen, tmp_path)[1] == []


DENSE = {
    "depth": ("values(1)", "conv2d(1, 1)"),
    "part": ("classes(4, ignore=255)", "conv2d(4, 1)"),
    "normal": ("unit_vectors(3)", "conv2d(3, 1)"),
    "edge": ("binary(1)", "conv2d(1, 1)"),
    "again": ("reconstruct", "conv2d(3, 1)"),
}


def rooms(height: int, width: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """A batch of 5 pictures, and answers."""
    chance = torch.Generator().manual_seed(3)

    def some(*shape: int) -> Tensor:
        return torch.rand(5, *shape, height, width, generator=chance)

    batch = {"image": some(3), "depth": 1 + some(1), "part": (some() * 4).long(), "normal": some(3), "edge": some(1)}
    batch["depth"][0, 0, 0, 0] = torch.nan
    batch["part"][0, 0, 0] = 255
    outputs = {"depth": 1 + some(1), "part": some(4), "normal": some(3), "edge": some(1), "again": some(3)}
    return batch, outputs


def test_samples_are_kept_in_pictures(tmp_path: Path) -> None:
    seen = answered(spec_of(DENSE, "image(3, 6, 8)"))
    batch, outputs = rooms(6, 8)
    seen.see(batch, outputs)
    seen.see(*rooms(6, 8))  # no more of this source
    folder, found = told(seen, tmp_path)
    (event,) = [each for each in found if isinstance(each, final_events.Pictures)]
    assert [each["sample"] for each in event.pictures] == [n for n in range(SAMPLES) for _ in range(1 + 2 * 5 - 1)]
    first = {(each.get("task"), each["of"]): each for each in event.pictures if each["sample"] == 0}

    def pixels(task: str | None, of: str) -> np.ndarray[Any, Any]:
        with Image.open(folder.path / first[task, of]["file"]) as picture:
            return np.asarray(picture)

    def near(task: str | None, of: str, colours: Tensor) -> None:
        assert np.abs(pixels(task, of) / 255 - colours[0].numpy().transpose(1, 2, 0)).max() < 0.01

    near(None, "input", batch["image"])
    near("again", "prediction", outputs["again"])
    near("normal", "target", batch["normal"] / 2 + 0.5)
    near("normal", "prediction", torch.nn.functional.normalize(outputs["normal"]) / 2 + 0.5)
    near("edge", "target", batch["edge"].expand(-1, 3, -1, -1))
    near("edge", "prediction", outputs["edge"].sigmoid().expand(-1, 3, -1, -1))
    known = batch["depth"][0].flatten()[1:]
    for of in ("target", "prediction"):
        assert first["depth", of]["least"] == pytest.approx(float(known.min()))
        assert first["depth", of]["largest"] == pytest.approx(float(known.max()))
    for task in ("depth", "part"):
        assert pixels(task, "target")[0, 0].tolist() == [153, 153, 153]
        assert pixels(task, "prediction")[0, 0].tolist() != [153, 153, 153]
    answer = outputs["part"][0].argmax(0).numpy()
    colour = {int(answer[place]): tuple(pixels("part", "prediction")[place]) for place in np.ndindex(6, 8)}
    assert len(set(colour.values())) == len(colour) > 2
    assert all(tuple(pixels("part", "prediction")[place]) == colour[int(answer[place])] for place in np.ndindex(6, 8))

    page = run_page(folder)
    pictures = findall(r'<img src="data:image/png;base64,([^"]+)" alt="([^"]+)">', page)
    assert [b64decode(content) for content, _ in pictures] == [
        (folder.path / each["file"]).read_bytes() for each in event.pictures
    ]
    assert len({alt for _, alt in pictures}) == len(pictures)
    again = list(seen.told(folder))
    assert [each for each in again if isinstance(each, final_events.Pictures)] == [event]


def test_large_pictures_and_many_tasks_are_bounded(tmp_path: Path) -> None:
    many = {f"t{n}": ("values(1)", "conv2d(1, 1)") for n in range(TASKS + 2)}
    seen = answered(spec_of(many, "image(3, 300, 40)"))
    zeros = torch.zeros(4, 1, 300, 40)
    seen.see({"image": zeros.expand(-1, 3, -1, -1), **dict.fromkeys(many, zeros)}, dict.fromkeys(many, zeros))
    folder, (event,) = told(seen, tmp_path)
    assert isinstance(event, final_events.Pictures)
    assert len(event.pictures) == SAMPLES * (1 + 2 * TASKS)
    sizes = {Image.open(io.BytesIO((folder.path / each["file"]).read_bytes())).size for each in event.pictures}
    assert sizes == {(14, 100)}
    assert max(max(size) for size in sizes) <= SIDE
