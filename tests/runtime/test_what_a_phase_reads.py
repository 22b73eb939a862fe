"""What a structural phase reads: of training samples the input alone, then validation, and each text once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
import torch
from lark import Lark
from torch import Tensor

from mtsldsl.editing import load
from mtsldsl.methods.mtsl.learner import Mtsl
from mtsldsl.runtime.data import Samples, Splits
from mtsldsl.runtime.network.built import model_class
from mtsldsl.runtime.run.session import Session
from mtsldsl.runtime.structure.phase import structural_phase

SPEC = Path(__file__).parents[2] / "specs" / "scenes.mtl"
SMALL = {
    "data.input": "image(3, 16, 16)",
    "data.images": 48,
    "data.batch": 8,
    "train.epochs": 2,
    "structure.phases": "[1]",
    "structure.similarity": "cka(samples=16)",
    "structure.threshold": -1,
}


class Told(Tensor):
    """A tensor that tells when entries of it are read, and not of a look at its shape or type."""

    tell: Callable[[], None]

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func.__name__ != "__get__":
            for each in args:
                if isinstance(each, cls):
                    each.tell()
        found = super().__torch_function__(func, types, args, kwargs or {})
        return found.as_subclass(Tensor) if isinstance(found, Tensor) else found


def told(data: Splits, reads: list[tuple[str, str]]) -> Splits:
    """The same samples; what is read of which split is noted in `reads`."""

    def noting(split: str, name: str, tensor: Tensor) -> Tensor:
        made = tensor.as_subclass(Told)
        made.tell = lambda: reads.append((split, name))
        return made

    def of(split: str, samples: Samples) -> Samples:
        fields = {name: noting(split, name, tensor) for name, tensor in samples.fields.items()}
        return Samples(fields, samples.layout)

    return attrs.evolve(data, **{split: of(split, samples) for split, samples in data.named()})


def test_a_phase_reads_inputs_then_validation_and_parses_each_text_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session.create(load(SPEC, SMALL), "scenes", tmp_path, "cpu", "quiet")
    spec = session.spec
    assert spec.structure is not None
    data = session.load_data()
    learner = Mtsl(spec.structure.settings)
    training = session.start(model_class(spec), learner, lambda named: torch.optim.Adam(named, lr=1e-3), lambda _: None)
    training.epoch = 1
    reads: list[tuple[str, str]] = []
    parsed: list[str] = []
    really = Lark.parse

    def noted(self: Lark, text: str, *arguments: Any, **named: Any) -> object:
        parsed.append(text)
        return really(self, text, *arguments, **named)

    monkeypatch.setattr(Lark, "parse", noted)
    structural_phase(training, learner, told(data, reads), session)
    evolved = training.spec
    assert evolved.history
    assert Counter(parsed) == {spec.source.text: 1, evolved.source.text: 1}
    assert session.folder.spec.read_text(encoding="utf-8") == evolved.source.text
    fields = {task.field_name for task in spec.tasks}
    assert len(fields) == 4
    assert dict.fromkeys(reads).keys() == {("train", "image"), *(("validation", name) for name in ("image", *fields))}
    splits = [split for split, _ in reads]
    assert splits == sorted(splits)  # `train` comes before `validation`
