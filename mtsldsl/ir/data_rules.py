"""What a data block may say: rules that are held where a text is read, and by the record that it becomes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import attrs

from mtsldsl.datasets.registry import data_kind
from mtsldsl.language.constants import Named, Shape
from mtsldsl.language.operators.own import FUNCTION, misfit_of
from mtsldsl.language.operators.shapes import times
from mtsldsl.records import Record


@attrs.frozen(eq=False, repr=False)
class DataMisfit(Record):
    """What does not fit, and the remedy; the key that it is about, or the augmentation."""

    cause: str
    remedy: str
    key: str
    augmentation: Named | None = None


def misfits_of_data(
    kind: str, inputs: Mapping[str, Shape], augment: Sequence[Named], options: Mapping[str, object]
) -> Iterator[DataMisfit]:
    """All that does not fit in a block of a kind, with inputs of these shapes."""
    known = data_kind(kind)
    if options.get("group") is not None and isinstance(options.get("stratify"), str):
        cause = "`group` keeps samples together, and `stratify` divides those of each class: both cannot be held"
        yield DataMisfit(
            cause, "leave one of them out, or let `split` name what says the part of each sample", "stratify"
        )
    if options.get("file") is not None and "table" in options and options["table"] is None:
        remedy = "add `table`, the .csv or .parquet file, or leave `file` out"
        yield DataMisfit("`file` names a column, and there is no `table` that has it", remedy, "file")
    code = known.code
    if code is not None and isinstance(target := options.get(code), str) and (misfit := misfit_of(target, FUNCTION)):
        remedy = f"write `{FUNCTION}`, where Python finds the function, such as `own_data:photos`"
        yield DataMisfit(f"`{code}`, `{target}`, {misfit}", remedy, code)
    name, shape = next(iter(inputs.items()))
    if known.dense and (len(shape) != 3 or shape[0] != 3):
        cause = f"the images of `{kind}` have 3 channels, height and width, not {times(shape)}"
        yield DataMisfit(cause, f"give `{name}(3, height, width)`", "input")
    if all(len(shape) != 3 for shape in inputs.values()):
        has = f"the input has {len(shape)}" if len(inputs) == 1 else "no input has all"
        for each in augment:
            yield DataMisfit(f"`{each.name}` needs images, and {has} of their 3 sizes", "leave it out", "augment", each)
