"""A method or a data set that is not known is one report: nobody knows the keys that it would have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtsldsl.datasets.registry import DATASETS
from mtsldsl.diagnostics import Source, nearest, proposal
from mtsldsl.editing.checking import check
from mtsldsl.methods.registry import METHODS
from tests.ir.specs import text

KEYS = st.sampled_from(["every", "epochs", "groups", "phases", "threshold", "root", "images", "cells"])
VALUES = st.sampled_from(["10", "[1, 2]", "all", '"here"', "warmup(3)", "0.5"])
LABELS = st.sampled_from(["grouping", "pruning", "gumbel", "imagenet", "webdataset", "cityscapes"])
LINES = st.dictionaries(KEYS, VALUES, max_size=4)


def codes(whole: str) -> list[str]:
    return [found.code for found in check(Source("spec.mtl", whole)).diagnostics]


def block(kind: str, label: str, lines: dict[str, str]) -> str:
    return "\n".join([f"{kind} {label} {{", *(f"  {key} = {value}" for key, value in lines.items()), "}", ""])


@given(LABELS, LINES)
def test_an_unknown_method_is_one_report_whatever_its_keys(label: str, lines: dict[str, str]) -> None:
    assert proposal(label, METHODS) is None
    assert codes(text(block("structure", label, lines))) == ["MTL110"]


@given(LABELS, LINES)
def test_an_unknown_data_set_is_one_report_whatever_its_keys(label: str, lines: dict[str, str]) -> None:
    assert nearest(label, DATASETS) is None
    whole = text("")
    start = whole.index("data scenes")
    own = {key: value for key, value in lines.items() if key not in ("root", "images")}
    changed = whole[:start] + block("data", label, own) + whole[whole.index("}", start) + 2 :]
    assert codes(changed) == ["MTL110"]


@pytest.mark.parametrize(("label", "wanted"), [("mtls", ["MTL110", "MTL104"]), ("mtsl", ["MTL104"])])
def test_one_that_is_misspelt_is_read_as_what_it_means(label: str, wanted: list[str]) -> None:
    assert codes(text(block("structure", label, {"phases": "[1]", "threshhold": "0.5"}))) == wanted
