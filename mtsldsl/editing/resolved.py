"""A spec written out: what stands for other text is replaced by it, and every default is said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import attrs

from mtsldsl.diagnostics import MtlError, Source
from mtsldsl.editing.pipeline_text import layer_text
from mtsldsl.editing.rewrite import block_text, decision_line, sharing_lines
from mtsldsl.ir.build import build
from mtsldsl.ir.header import VERSION
from mtsldsl.ir.library import Library
from mtsldsl.ir.model import Spec
from mtsldsl.ir.network import image_of
from mtsldsl.ir.settings import by_block
from mtsldsl.syntax import parse


def resolved(spec: Spec) -> Source:
    """The whole of it as one text, in the layout of `mtsldsl fmt`, which read again is an equal spec.

    Every argument is said, but those that are `none`; where data blocks have images of several sizes and something
    depends on them, what `resize` and `residual` compute of them is left to them again. Raises MtlError MTL704 where no
    such text is found.
    """
    from mtsldsl.syntax.format import format_text

    for by_size in (False, True) if any(layer.variants for layer in spec.layers) else (False,):
        text = "\n\n".join([f"mtl {VERSION}", *_blocks(spec, by_size=by_size)])
        source = attrs.evolve(spec.source, text=f"{text}\n")
        if _means(source, spec):
            return attrs.evolve(source, text=format_text(source))
    raise MtlError.of(
        "MTL704",
        f"{spec.source.name} is not written out: with every default said it would not be read as the same",
        "see its settings with `mtsldsl show --json`",
    )


def _means(source: Source, spec: Spec) -> bool:
    try:
        return build(parse(source), library=Library()) == spec
    except MtlError:
        return False


def _blocks(spec: Spec, *, by_size: bool) -> Iterator[str]:
    said = dict(by_block(spec))
    several = len(spec.blocks) > 1
    for data in spec.blocks:
        label = f" {data.label}" if data.label else ""
        yield block_text(f"data {data.kind}{label}", _lines(said[f"data.{data.name}" if several else "data"]))
    for task in spec.tasks:
        lines = [*_lines(said[f"task.{task.name}"]), f"head = {layer_text(task.head)}"]
        yield block_text(f"task {task.name}", lines)
    sizes = [(data.name, image_of(data)) for data in spec.blocks] if by_size else []
    layers = ((layer, [(shape, layer.body_for(name)) for name, shape in sizes]) for layer in spec.layers)
    yield block_text("backbone", (f"{layer.name} = {layer_text(layer.body, each)}" for layer, each in layers))
    yield block_text("train", _lines(said["train"]))
    if spec.tuning:
        yield block_text("tuning", _lines(said["tuning"]))
    if spec.structure is not None:
        yield block_text(f"structure {spec.structure.method}", _lines(said["structure"]))
    yield block_text("sharing", sharing_lines(spec.sharing, spec.backbone.layers))
    if spec.history:
        yield block_text("history", (decision_line(each, spec.sharing.tasks) for each in spec.history))


def _lines(values: Mapping[str, str]) -> list[str]:
    return [f"{name} = {value}" for name, value in values.items()]
