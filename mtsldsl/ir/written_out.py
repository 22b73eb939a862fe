"""The layers of a text written out: without blocks, constants and repetitions, as stages and as text again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from mtsldsl.ir.definitions import read_definitions
from mtsldsl.ir.expand import Apply, Expander, Stage
from mtsldsl.ir.library import sections_of
from mtsldsl.ir.network import read_inputs
from mtsldsl.ir.problems import Broken, Problems
from mtsldsl.language.constants import Constant
from mtsldsl.language.kinds import Chosen
from mtsldsl.language.naming import RESIDUAL
from mtsldsl.language.operators import OPERATORS
from mtsldsl.syntax import tree


def written_out(file: tree.File) -> dict[str, tuple[Stage, ...]]:
    """The stages of each layer of a sound text that imports nothing and has no layer of alternatives."""
    problems = Problems()
    inputs = read_inputs(next(sections_of(file, "data")))
    section = next(sections_of(file, "backbone"))
    entries = [item for item in section.items if isinstance(item, tree.Entry)]
    places = {entry.key.text: entry.key.span for entry in entries}
    expander = Expander(read_definitions(file.statements, problems), places, inputs, problems)
    found: dict[str, tuple[Stage, ...]] = {}
    for entry in entries:
        expander.current = entry.key.text
        stages = expander.pipeline(entry.value)
        problems.check()
        assert not isinstance(stages, Broken)
        found[entry.key.text] = stages
        expander.ready.add(entry.key.text)
    return found


def operators_of(stages: Sequence[Stage]) -> Iterator[Apply]:
    """All operators of some stages, those of the pipelines that they take included."""
    for stage in stages:
        if isinstance(stage, Apply):
            yield stage
            for value in stage.values:
                yield from operators_of(value)


def pipeline_text(stages: Sequence[Stage], width: Callable[[int], int]) -> str:
    """The pipeline as a text has it; how many channels an operator gives is what `width` makes of it."""
    return " | ".join(_stage_text(stage, width) for stage in stages)


def _stage_text(stage: Stage, width: Callable[[int], int]) -> str:
    if not isinstance(stage, Apply):
        return stage.name
    values = [pipeline_text(value, width) for value in stage.values]
    if stage.operator == RESIDUAL:
        main, *shortcut = values
        words = [main, *(f"shortcut={each}" for each in shortcut)]
    else:
        words = [*values, *_arguments(stage, width)]
    return f"{stage.operator}({', '.join(words)})" if words else stage.operator


def _arguments(stage: Apply, width: Callable[[int], int]) -> Iterator[str]:
    """The arguments that are not as they would be without a word."""
    operator = OPERATORS[stage.operator]
    for rule in operator.rules:
        value = stage.arguments[rule.name]
        if isinstance(value, Chosen) or value == rule.default:
            continue
        if rule.name == operator.width and isinstance(value, int):
            value = width(value)
        yield f"{rule.name}={_constant(value)}"


def _constant(value: Constant) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case None:
            return "none"
        case tuple():
            return f"[{', '.join(map(_constant, value))}]"
        case str():
            return value
    return repr(value)
