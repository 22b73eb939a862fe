"""What `# mtl: ignore` holds for, which no layout of the same words and comments changes."""

from __future__ import annotations

import pytest

from mtsldsl.diagnostics import Source
from mtsldsl.editing.checking import check
from mtsldsl.syntax.format import format_text
from tests.ir.specs import BODY


def outcome(spec_text: str) -> tuple[list[str], list[str]]:
    """The codes that are reported, and those that are ignored."""
    report = check(Source("s.mtl", spec_text), pedantic=True)
    return [each.code for each in report.diagnostics], [each.code for each in report.ignored]


def with_train(block: str) -> str:
    return BODY[: BODY.index("train {")] + block


@pytest.mark.parametrize(
    "block",
    [
        "train {\n  epochs = 4\n  optimizer = sgd(lr=2)  # mtl: ignore MTL941\n}\n",
        "train {\n  epochs = 4\n  optimizer = sgd(lr=2, momentum=0.9,)  # mtl: ignore MTL941\n}\n",
        "train {\n  epochs = 4\n  optimizer = sgd(\n    lr=2,\n    momentum=0.9,\n  )  # mtl: ignore MTL941\n}\n",
        "train {\n  epochs = 4\n  optimizer = sgd(  # mtl: ignore MTL941\n    lr=2\n  )\n}\n",
        "train {\n  epochs = 4\n  optimizer =\n    # mtl: ignore MTL941\n    sgd(lr=2)\n}\n",
        "train {\n  epochs = 4\n  optimizer = sgd(lr=2) }  # mtl: ignore MTL941\n",
        "train { epochs = 4\n  optimizer = sgd(lr=2)  # mtl: ignore MTL941\n}\n",
        "train { epochs = 4\n  optimizer = sgd(lr=2) } # mtl: ignore MTL941",
    ],
)
def test_a_comment_holds_for_the_whole_entry_or_block_however_that_is_laid_out(block: str) -> None:
    before = with_train(block)
    ignored = outcome(before)
    assert ignored == ([], ["MTL941"])
    assert outcome(format_text(Source("s.mtl", before))) == ignored


@pytest.mark.parametrize(
    "block",
    [
        "train {  # mtl: ignore MTL941\n  epochs = 4\n  optimizer = sgd(lr=2)\n}\n",
        "train {\n  epochs = 4\n  # mtl: ignore MTL941\n  optimizer = sgd(lr=2)\n}\n",
        "train {\n  epochs = 4  # mtl: ignore MTL941\n  optimizer = sgd(lr=2)\n}\n",
        "train { # mtl: ignore MTL941\n epochs = 4\n optimizer = sgd(lr=2) }\n",
        "train {\n  epochs = 4\n  optimizer = sgd(lr=2)\n}\n# mtl: ignore MTL941\n",
    ],
)
def test_a_comment_holds_for_no_neighbour(block: str) -> None:
    before = with_train(block)
    assert sorted(outcome(before)[0]) == ["MTL905", "MTL941"]
    assert sorted(outcome(format_text(Source("s.mtl", before)))[0]) == ["MTL905", "MTL941"]


def test_a_comment_behind_what_cannot_be_read_holds_for_its_physical_line() -> None:
    broken = with_train("train {\n  epochs = 0  # mtl: ignore MTL202\n  = 3\n}\n")
    codes, ignored = outcome(broken)
    assert ignored == ["MTL202"]
    assert codes
    assert all(code.startswith("MTL0") for code in codes)
