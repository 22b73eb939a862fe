"""What a person is told of the samples of a spec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from mtsldsl.diagnostics.bounded import FIRST_SHOWN, MOST_SHOWN, shown
from mtsldsl.diagnostics.counted import counted
from mtsldsl.runtime.run.event_lines import label_lines, short

Plain: TypeAlias = Mapping[str, Any]

_ROUNDED = 1e-6
"""Of the largest number: a smaller mean is what float32 leaves of 0."""


def overview_lines(found: Plain) -> list[str]:
    """The lines of an overview in plain data, as `--json` prints it."""
    lines = [f"{found['spec']}", *label_lines(found["splits"])]
    several = len(found["inputs"]) > 1
    inputs = [_input(name if several else None, each) for name, each in found["inputs"].items()]
    targets = [_target(name, each, found["splits"]) for name, each in found["targets"].items()]
    lines += [line for part in (*_first(inputs, "sources"), *_first(targets, "tasks")) for line in part]
    for name, rows in found["rows"].items():
        lines += ["", f"first training rows{f' of `{name}`' if several else ''}:", *_table(rows, found["targets"])]
    return lines


def _first(parts: Sequence[list[str]], noun: str) -> list[list[str]]:
    """All of a few parts, of more the first."""
    if len(parts) <= MOST_SHOWN:
        return list(parts)
    return [*parts[:FIRST_SHOWN], [f"and {len(parts) - FIRST_SHOWN} {noun} more; --json has all"]]


def _input(source: str | None, found: Plain) -> list[str]:
    whose = f" of `{source}`" if source else ""
    lines = []
    for given in (found, *found.get("more", ())):
        ranges = [f"  {split:<10}  {_range(each)}" for split, each in given["range"].items()]
        lines += [f"input `{given['name']}`{whose}: {_sizes(given['shape'])}", *ranges]
    return lines


def _target(task: str, found: Plain, splits: Plain) -> list[str]:
    field = "" if found["field"] == task else f" of `{found['field']}`"
    lines = [f"`{task}`: {found['kind']}({found['channels']}){field}, {_sizes(found['shape'])}"]
    names = found.get("names") or (["no", "yes"] if found["kind"] == "binary" else None)
    for split, each in splits.items():
        labels = each["labels"][task]
        lines.append(f"  {split:<10}  {_labels(found, split, labels['entries'], labels['of'], names)}")
    columns = [
        [
            f"  `{each['name']}`",
            *(
                f"    {split:<10}  {_labels(each, split, each['entries'][split], of['samples'], names)}"
                for split, of in splits.items()
            ),
        ]
        for each in found.get("columns", ())
    ]
    return [*lines, *(line for part in _first(columns, "columns") for line in part)]


def _labels(found: Plain, split: str, entries: int, of: int, names: Sequence[str] | None) -> str:
    """What there is of a target, or of a column of it, in a split."""
    what = _counts(found["counts"][split], names) if "counts" in found else _range(found["range"][split])
    return f"{100 * (1 - entries / max(of, 1)):.3g} % missing; {what}"


def _sizes(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape)) if shape else "one a sample"


def _range(found: Plain | None) -> str:
    if found is None:
        return "nothing that counts"
    least, largest, mean = found["least"], found["largest"], found["mean"]
    rounded = 0.0 if abs(mean) < _ROUNDED * max(abs(least), abs(largest)) else mean
    return f"{short(least)} to {short(largest)}, mean {short(rounded)}"


def _counts(counts: Sequence[int], names: Sequence[str] | None) -> str:
    return shown([f"{names[number] if names else number}: {count:,}" for number, count in enumerate(counts)], "  ")


def _table(rows: Plain, targets: Plain) -> list[str]:
    """Rows under the names of their columns: of many numbers of the input, and of many targets, the first."""
    learned = {name: values for name, values in rows.items() if name in targets}
    inputs = [each for name, values in rows.items() if name not in learned for each in _columns(name, values, {})]
    answers = [each for name, values in learned.items() for each in _columns(name, values, targets[name])]
    columns = [*_few(inputs), *_few(answers)]
    widths = [max(map(len, column)) for column in columns]
    lines = ["  ".join(map(str.rjust, line, widths)) for line in zip(*columns, strict=True)]
    left = len(inputs) + len(answers) - len(columns)
    return [f"  {line}" for line in lines] + ([f"  and {counted(left, 'column')} more; --json has all"] if left else [])


def _columns(name: str, values: Sequence[Any], target: Plain) -> list[list[str]]:
    """Each with its title above its cells: of several numbers in a row one for each."""
    names = target.get("names")
    if not isinstance(values[0], list):
        return [[name, *(_cell(value, names) for value in values)]]
    if len(values[0]) == 1:
        return _columns(name, [value for (value,) in values], target)
    called = [each["name"] for each in target.get("columns", ())] or range(len(values[0]))
    return [
        [f"{name}[{of}]", *(_cell(value, names) for value in column)]
        for of, column in zip(called, zip(*values, strict=True), strict=True)
    ]


def _few(columns: list[list[str]]) -> list[list[str]]:
    return columns if len(columns) <= MOST_SHOWN else columns[:FIRST_SHOWN]


def _cell(value: float | None, names: Sequence[str] | None) -> str:
    return names[int(value)] if names and value is not None else short(value)
