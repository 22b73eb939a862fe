"""What is predicted and written, beyond what one run shows: many classes, several channels, tokens, a large folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from mtsldsl.diagnostics import MtlError
from mtsldsl.editing import loads
from mtsldsl.ir import Task
from mtsldsl.ir.task_record import Target
from mtsldsl.runtime.data.new_inputs import NewInputs
from mtsldsl.runtime.learning.prediction import Predicted, predictions
from mtsldsl.runtime.network.built import build_model
from mtsldsl.runtime.objectives.by_target import answers_of
from mtsldsl.runtime.run.prediction_folder import write_folder
from mtsldsl.runtime.run.prediction_tables import write_csv, write_npz
from tests.records import data_of, gives, task_of
from tests.runtime.data.factories import task

SIZE = (3, 4)


def inputs(*names: str, count: int = 2) -> NewInputs:
    data = data_of("arrays", "image", (3, *SIZE), 2)

    def read(some: range) -> dict[str, torch.Tensor]:
        return {"image": torch.zeros(len(some), 3, *SIZE)}

    return NewInputs(data, len(names) or count, read, names or None)


def outputs(given: Task, count: int = 2) -> torch.Tensor:
    return torch.randn(count, *given.head.shape, generator=torch.Generator().manual_seed(1)) * 3


def predicted(*tasks: Task, count: int = 2) -> Predicted:
    answers = {name: each.numpy() for task in tasks for name, each in answers_of(task, outputs(task)).items()}
    return Predicted(range(count), answers)


def decoded(path: Path) -> NDArray[Any]:
    with Image.open(path) as picture:
        return np.asarray(picture)


def of_tokens(name: str, target: Target) -> Task:
    return task_of(name, target, gives((target.channels, 7), image=(3, 8, 8)))


@pytest.mark.parametrize(("classes", "dtype"), [(2, "uint8"), (256, "uint8"), (257, "uint16"), (400, "uint16")])
def test_numbers_of_classes_are_gray_of_8_bits_and_of_16_where_there_are_more(
    classes: int, dtype: str, tmp_path: Path
) -> None:
    part = task("part", Target("classes", classes), size=SIZE)
    each = predicted(part)
    each.answers["part"][0, 0, 0] = classes - 1
    write_folder(tmp_path / "out", inputs(), [part], [each], {})
    found = decoded(tmp_path / "out" / "part" / "0.png")
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, each.answers["part"][0])


def test_each_of_several_channels_has_a_picture(tmp_path: Path) -> None:
    edge, level = task("edge", Target("binary", 2), size=SIZE), task("level", Target("values", 3), size=SIZE)
    each = predicted(edge, level)
    write_folder(tmp_path / "out", inputs("a.png", "a.0.png"), [edge, level], [each], {})
    names = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    samples = ("a", "a.0")
    assert names == (
        {f"edge/{sample}.{channel}.png" for sample in samples for channel in range(2)}
        | {f"level.look/{sample}.{channel}.png" for sample in samples for channel in range(3)}
        | {f"level/{sample}.npy" for sample in samples}
    )
    np.testing.assert_allclose(decoded(tmp_path / "out/edge/a.0.1.png") / 255, each.answers["edge"][1, 1], atol=0.002)


def test_answers_for_tokens_are_arrays(tmp_path: Path) -> None:
    word, much = of_tokens("word", Target("classes", 5)), of_tokens("much", Target("values", 2))
    each = predicted(word, much)
    assert each.answers["word"].shape == (2, 7)
    write_folder(tmp_path / "out", inputs(), [word, much], [each], {})
    for name in ("word", "much"):
        np.testing.assert_array_equal(np.load(tmp_path / "out" / name / "1.npy"), each.answers[name][1])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["much", "word"]


def test_what_does_not_differ_is_drawn_black(tmp_path: Path) -> None:
    level = task("level", Target("values", 1), size=SIZE)
    write_folder(
        tmp_path / "out",
        inputs(count=1),
        [level],
        [Predicted(range(1), {"level": np.full((1, 1, *SIZE), 7.0, "f4")})],
        {},
    )
    assert decoded(tmp_path / "out/level.look/0.png").tolist() == np.zeros(SIZE).tolist()


def test_pictures_are_written_batch_by_batch(tmp_path: Path) -> None:
    """Those of a batch are on the disk when the next is asked for, and under their own name only when all are."""
    part, seen = task("part", Target("classes", 4), size=SIZE), []

    def batch_by_batch() -> Iterator[Predicted]:
        for start in range(0, 6, 2):
            seen.append((len(list(tmp_path.rglob("*.png"))), (tmp_path / "out").exists()))
            yield Predicted(range(start, start + 2), predicted(part).answers)

    write_folder(tmp_path / "out", inputs(count=6), [part], batch_by_batch(), {})
    assert seen == [(0, False), (2, False), (4, False)]
    assert len(list((tmp_path / "out").rglob("*.png"))) == 6
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_two_samples_of_one_name_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    part = task("part", Target("classes", 4), size=SIZE)
    with pytest.raises(MtlError, match=r"`a\.jpg` and for `a\.png`"):
        write_folder(tmp_path / "out", inputs("a.jpg", "a.png"), [part], iter([predicted(part)]), {})
    assert not list(tmp_path.iterdir())


def test_names_of_any_kind_are_kept(tmp_path: Path) -> None:
    age, file = (task(name, Target("values", 1), dense=False) for name in ("age", "file"))
    names = ('comma, "quote".png', "cafe\udce9\n.png")  # the second is no UTF-8
    each = predicted(age, file)
    write_npz(tmp_path / "x.npz", inputs(*names), [each])
    with np.load(tmp_path / "x.npz") as found:
        assert found["sample"].tolist() == list(names)
        np.testing.assert_array_equal(found["file"], each.answers["file"])
    write_csv(tmp_path / "x.csv", inputs(*names), [], [each], {})
    text = (tmp_path / "x.csv").read_bytes().decode("utf-8", "surrogateescape")
    assert text.startswith('sample,age,file\n"comma, ""quote"".png",')
    assert '"cafe\udce9\n.png",' in text


def test_what_an_output_says_by_hand() -> None:
    logits = torch.tensor([[1.0, 3.0, 2.0]])
    kind = task("kind", Target("classes", 3), dense=False)
    found = answers_of(kind, logits, scores=True)
    assert found["kind"].tolist() == [1]
    exact = np.exp([1.0, 3.0, 2.0]) / np.exp([1.0, 3.0, 2.0]).sum()
    np.testing.assert_allclose(found["kind/scores"].numpy()[0], exact, rtol=1e-6)
    risk = task("risk", Target("binary", 3), dense=False)
    np.testing.assert_allclose(answers_of(risk, logits)["risk"].numpy()[0], 1 / (1 + np.exp([-1.0, -3, -2])), rtol=1e-6)
    way = task("way", Target("unit_vectors", 3), dense=False)
    vectors = torch.tensor([[0.0, 3e30, 4e30], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(answers_of(way, vectors)["way"].numpy(), [[0, 0.6, 0.8], [0, 0, 0]], rtol=1e-6)
    price = task("price", Target("values", 3), dense=False)
    found = answers_of(price, logits.bfloat16())
    assert found["price"].dtype == torch.float32
    assert found["price"].tolist() == [[1, 3, 2]]
    assert list(answers_of(price, logits, scores=True)) == ["price"]


APART = """\
mtl 1
data arrays {
  path  = "nowhere.npz"
  input = row(4)
  batch = 2
  apart = true
}
task cost {
  target = values(1)
  head   = linear(1)
}
task risk {
  target = binary(1)
  head   = linear(1)
}
task size {
  target = values(2)
  head   = linear(2)
}
backbone {
  hidden = linear(3) | relu
}
train {
  epochs = 1
}
sharing {
  hidden = cost + risk, size
}
"""


@pytest.mark.parametrize("chosen", [("cost", "risk", "size"), ("size",), ("risk", "size")], ids=str)
def test_tasks_that_were_trained_on_samples_of_their_own_are_predicted_together(chosen: tuple[str, ...]) -> None:
    spec = loads(APART, "apart.mtl")
    model, rows = build_model(spec), torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    new = NewInputs(spec.data, 5, lambda some: {spec.data.input: rows[some.start : some.stop]})
    found = list(predictions(model, spec, new, torch.device("cpu"), chosen))
    assert [each.samples for each in found] == [range(2), range(2, 4), range(4, 5)]
    with torch.no_grad():
        for name in chosen:
            expected = model(rows, (name,))[name]
            expected = expected.sigmoid() if name == "risk" else expected
            every = np.concatenate([each.answers[name] for each in found])
            np.testing.assert_allclose(every, expected.numpy(), rtol=1e-5, atol=1e-6)
    assert all(set(each.answers) == set(chosen) for each in found)
    assert model.training  # as it was


def test_samples_keep_their_numbers_where_others_are_left_out(tmp_path: Path) -> None:
    some = attrs.evolve(inputs(count=2), numbers=(8, 10), with_left_out=101)
    answers = [Predicted(range(2), {"kind": np.array([4, 5])})]
    write_npz(tmp_path / "x.npz", some, answers)
    with np.load(tmp_path / "x.npz") as file:
        assert (file["sample"].dtype, file["sample"].tolist()) == (np.int64, [8, 10])
    write_csv(tmp_path / "x.csv", some, [task("kind", Target("classes", 9))], answers, {})
    assert (tmp_path / "x.csv").read_text(encoding="utf-8") == "sample,kind\n8,4\n10,5\n"
    write_folder(
        tmp_path / "x",
        some,
        [task("level", Target("values", 1), size=SIZE)],
        [Predicted(range(2), {"level": np.zeros((2, 1, *SIZE))})],
        {},
    )
    assert sorted(path.name for path in (tmp_path / "x/level").iterdir()) == ["008.npy", "010.npy"]
