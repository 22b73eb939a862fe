"""The tables of the pages that are made from the code: between `<!-- generated: name -->` and `<!-- end -->`.

A table may have a last column of a person's words; it is kept, row by row, when the table is made anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from keyword import kwlist
from types import MappingProxyType
from typing import cast

from mtsldsl.datasets.kind import SCENE_FIELDS
from mtsldsl.datasets.registry import DATASETS, data_kind
from mtsldsl.language import kinds, schema
from mtsldsl.language.constants import Constant
from mtsldsl.language.kinds import REQUIRED, Key, describe
from mtsldsl.language.naming import GENERATED_NAMES, MODULE_NAMES, STAGES, WORDS
from mtsldsl.language.operator import Operator
from mtsldsl.language.operators import OPERATORS
from mtsldsl.language.operators.elementwise import ELEMENTWISE
from mtsldsl.language.operators.image import IMAGE
from mtsldsl.language.operators.joining import JOINING
from mtsldsl.language.operators.normalisation import NORMALISATION
from mtsldsl.language.operators.own import OWN_MODULE
from mtsldsl.language.operators.resizing import RESIZING
from mtsldsl.language.operators.sequences import SEQUENCES
from mtsldsl.language.operators.tokens import TOKENS
from mtsldsl.language.reference import call_of, default_of, value_of, written
from mtsldsl.language.targets import TARGETS, ObjectiveRule, TargetRule
from mtsldsl.language.tuning import TUNINGS
from mtsldsl.methods import similarities
from mtsldsl.methods.allocation import language as allocation
from mtsldsl.methods.branch import language as branch
from mtsldsl.methods.ladder import language as ladder
from mtsldsl.methods.ltb import language as ltb
from mtsldsl.methods.mtsl import language as mtsl
from mtsldsl.methods.registry import methods, run_names
from mtsldsl.methods.split import language as split
from mtsldsl.methods.temperature import TEMPERATURES
from mtsldsl.methods.transference import language as transference
from tests.docs import codes

MARKED = re.compile(r"<!-- generated: (?P<name>[^>]+?) -->\n(?P<text>.*?)<!-- end -->", re.S)
Words = Mapping[tuple[str, ...], str]
"""The words of the last column by the names in the columns before it."""


def refreshed(page: str) -> str:
    """The page with every table made anew."""
    return MARKED.sub(lambda match: f"<!-- generated: {match['name']} -->\n{made(match)}<!-- end -->", page)


def made(match: re.Match[str]) -> str:
    """The text that belongs between the markers. KeyError where there is no such table."""
    return f"\n{TABLES[match['name']](_words(match['text']))}\n\n"


def without_words(page: str) -> list[str]:
    """The rows of generated tables that lack the words of a person."""
    rows = [row for match in MARKED.finditer(page) for row in match["text"].splitlines()]
    return [row for row in rows if re.search(r"\|\s*\|$", row)]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def _key(cells: Sequence[str]) -> tuple[str, ...]:
    return tuple(match[0] if (match := re.search(r"\w+", cell)) else "" for cell in cells[:2])


def _words(table: str) -> Words:
    rows = [re.split(r"\s*(?<!\\)\|\s*", line.strip())[1:-1] for line in table.splitlines() if line.startswith("|")]
    return {key: cells[-1] for cells in rows for key in (_key(cells), _key(cells[:1]))}


# Operators ------------------------------------------------------------------------------------------------------------


def _argument(rule: Key) -> str:
    if rule.default is REQUIRED:
        return rule.name
    return f"{rule.name}={written(rule.default)}"


def _signature(operator: Operator) -> str:
    inputs = ["value", "..."] if operator.arity is None else ["other"] * (operator.arity - 1)
    rest = ["..."] if operator.own else []
    arguments = ", ".join([*inputs, *map(_argument, operator.rules), *rest])
    return f"`{operator.name}({arguments})`" if arguments else f"`{operator.name}`"


def _operators(family: Sequence[Operator]) -> Callable[[Words], str]:
    def table(words: Words) -> str:
        rows = [[_signature(each), each.summary, words.get((each.name,), "")] for each in family]
        return _table(["operator", "what it gives", "shape"], rows)

    return table


def _operator_arguments(_: Words) -> str:
    users: dict[tuple[str, str], list[str]] = {}
    for operator in OPERATORS.values():
        for rule in operator.rules if operator.name in STAGES else ():
            users.setdefault((rule.name, describe(rule.kind)), []).append(f"`{operator.name}`")
    rows = [[f"`{name}`", value, ", ".join(names)] for (name, value), names in sorted(users.items())]
    return _table(["argument", "value", "operators"], rows)


# Blocks ---------------------------------------------------------------------------------------------------------------


def _default(key: Key) -> str:
    return f"**{REQUIRED.value}**" if key.default is REQUIRED else default_of(key)


def _keys(keys: Iterable[Key]) -> str:
    rows = [[f"`{key.name}`", key.summary, value_of(key.kind), _default(key)] for key in keys]
    return _table(["key", "what it says", "value", "default"], rows)


def _block(block: schema.BlockSchema) -> Callable[[Words], str]:
    return lambda _: _keys(block.keys or ())


def _calls(call: kinds.Call) -> Callable[[Words], str]:
    """A table of the calls, and one of their arguments where they have any."""

    def table(_: Words) -> str:
        users: dict[tuple[str, str, str, str], list[str]] = {}
        for rule in call.rules:
            for key in (*rule.keys, *([rule.rest] if rule.rest else [])):
                row = (f"`{key.name}`", key.summary, describe(key.kind), key.otherwise or _default(key))
                users.setdefault(row, []).append(f"`{rule.name}`")
        calls = _table(["written", "meaning"], [[f"`{call_of(rule)}`", rule.summary] for rule in call.rules])
        rows = [[row[0], ", ".join(names), *row[1:]] for row, names in users.items()]
        arguments = _table(["argument", "of", "meaning", "value", "default"], rows)
        return f"{calls}\n\n{arguments}" if rows else calls

    return table


# Targets --------------------------------------------------------------------------------------------------------------


def _objective(rule: ObjectiveRule) -> str:
    arguments = ", ".join(f"{key.name}={written(cast(Constant, key.default))}" for key in rule.arguments)
    return f"`{rule.name}({arguments})`" if arguments else f"`{rule.name}`"


def _targets(words: Words) -> str:
    fields = {field.target: field.name for field in SCENE_FIELDS}
    rows = [
        [
            f"`{call_of(rule)}`",
            rule.summary,
            f"`{fields[rule.name]}`" if rule.name in fields else "the input",
            words.get((rule.name,), ""),
        ]
        for rule in schema.TARGET.rules
    ]
    return _table(["target", "meaning", "field of `scenes` and `nyuv2`", "what the head gives"], rows)


def _losses(words: Words) -> str:
    def row(target: TargetRule, rule: ObjectiveRule) -> list[str]:
        fields = [
            f"`{field}`"
            for field, name in ((each.name, each.loss) for each in SCENE_FIELDS if each.loss)
            if target.kind == _kind_of_field(field) and name == rule.name
        ]
        default = f", the default of the field {' and '.join(fields)}" if fields else ""
        default = ", the default" if rule is target.losses[0] else default
        return [f"`{target.kind}`", f"{_objective(rule)}{default}", words.get((target.kind, rule.name), "")]

    rows = [row(target, rule) for target in TARGETS.values() for rule in target.losses]
    return _table(["target", "loss", "what it is"], rows)


def _kind_of_field(field: str) -> str:
    return next(each.target for each in SCENE_FIELDS if each.name == field)


def _default_metric(target: TargetRule, name: str) -> str:
    """Whether a metric is a default: always, or where."""
    general = name in target.default_metrics
    if target.default_for_positive:
        positive = name in target.default_for_positive
        where = "" if general and positive else " of `valid=positive`" if positive else " of `valid=finite`"
        return f", a default{where}" if general or positive else ""
    if name in target.default_for_samples:
        return ", a default for answers per sample"
    return ", a default" if general else ""


def _metrics(words: Words) -> str:
    def row(target: TargetRule, rule: ObjectiveRule) -> list[str]:
        default = _default_metric(target, rule.name)
        better = "higher" if rule.higher_is_better else "lower"
        written = words.get((target.kind, rule.name), "")
        return [f"`{target.kind}`", f"{_objective(rule)}{default}", better, written]

    rows = [row(target, rule) for target in TARGETS.values() for rule in target.metrics]
    return _table(["target", "metric", "better", "what it is"], rows)


# Lists ----------------------------------------------------------------------------------------------------------------


def _methods(words: Words) -> str:
    rows = [[f"`{each.name}`", each.block.summary, words.get((each.name,), "")] for each in methods()]
    return _table(["`structure`", "what a run does", "more"], rows)


def _reserved(_: Words) -> str:
    def names(group: Iterable[str]) -> str:
        return ", ".join(f"`{name}`" for name in sorted(group, key=lambda name: (name.lower(), name)))

    rows = [
        ["words of the language", "everything", names(WORDS)],
        ["operators", "everything", names(STAGES)],
        ["words of Python", "layers, tasks and the input", names(kwlist)],
        ["names that the generated code uses", "layers, tasks and the input", names(GENERATED_NAMES)],
        ["names of every PyTorch module", "layers, tasks and the input", names(MODULE_NAMES - GENERATED_NAMES)],
        ["names in the records of a run", "tasks", names(run_names())],
    ]
    return _table(["kind", "closed to", "names"], rows)


TABLES: Mapping[str, Callable[[Words], str]] = MappingProxyType(
    {
        "operators image": _operators(IMAGE),
        "operators normalisation": _operators(NORMALISATION),
        "operators elementwise": _operators(ELEMENTWISE),
        "operators resizing": _operators(RESIZING),
        "operators joining": _operators(JOINING),
        "operators tokens": _operators(TOKENS),
        "operators sequences": _operators(SEQUENCES),
        "operators own": _operators([OWN_MODULE]),
        "operator arguments": _operator_arguments,
        **{f"block data {name}": _block(data_kind(name).block) for name in DATASETS},
        "block task": _block(schema.TASK),
        "block train": _block(schema.TRAIN),
        "block structure": _block(mtsl.BLOCK),
        "block structure allocation": _block(allocation.BLOCK),
        "block structure branch": _block(branch.BLOCK),
        "block structure transference": _block(transference.BLOCK),
        "block structure split": _block(split.BLOCK),
        "block structure ltb": _block(ltb.BLOCK),
        "block structure ladder": _block(ladder.BLOCK),
        "decision merge": lambda _: _keys(mtsl.MERGE.call.keys),
        "decision branch": lambda _: _keys(branch.BRANCH.call.keys),
        "decision allocate": lambda _: _keys(allocation.ALLOCATE.keys),
        "decision group": lambda _: _keys(transference.GROUP.keys),
        "decision split": lambda _: _keys(split.SPLIT.keys),
        "decision meet": lambda _: _keys(ltb.MEET.keys),
        "decision ladder": lambda _: _keys(ladder.LADDER.keys),
        "optimizers": _calls(schema.OPTIMIZERS),
        "schedulers": _calls(schema.SCHEDULERS),
        "balances": _calls(schema.BALANCES),
        "samplings": _calls(schema.SAMPLINGS),
        "weights": _calls(schema.WEIGHTS),
        "kept": _calls(kinds.KEPT),
        "tunings": _calls(TUNINGS),
        "augmentations": _calls(schema.AUGMENTATIONS),
        "similarities": _calls(similarities.SIMILARITIES),
        "transfers": _calls(mtsl.TRANSFERS),
        "choices": _calls(mtsl.CHOICES),
        "temperatures": _calls(TEMPERATURES),
        "targets": _targets,
        "losses": _losses,
        "metrics": _metrics,
        "methods": _methods,
        "reserved": _reserved,
        "frame": codes.frame,
        "codes": codes.codes,
    }
)
"""Every table by name, as a function of the words that its last column had."""
