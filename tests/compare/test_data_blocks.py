"""Specs with several data blocks, compared, merged, counted, set and rewritten."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from mtsldsl.cli import main
from mtsldsl.compare.consensus import consensus
from mtsldsl.compare.spec_difference import compare
from mtsldsl.diagnostics import MtlError, Source
from mtsldsl.editing import load, loads
from mtsldsl.editing.checking import check
from mtsldsl.ir.normal import digest
from tests.compare.merging import edited, merge, taken
from tests.ir.data_blocks import TWO

BATCH = ("batch   = 8", "batch   = 4")
SAMPLING = ("temperature(0.5)", "round_robin")
THIRD = 'data arrays third {\n  path  = "third.npz"\n  input = image(1, 24, 24)\n}\n\ntask sign {\n  data   = third\n  target = classes(3)\n  head   = linear(outputs)\n}\n\nbackbone {'
ADDED = (("backbone {", THIRD), ("ink + letter", "ink + letter, sign"))


def changed(*changes: tuple[str, str]) -> dict[str, tuple[object, object]]:
    """The keys that differ after these replacements, each with both values."""
    before, after = loads(TWO), loads(edited(TWO, *changes))
    found = compare(before, after)
    assert bool(found) == (digest(before) != digest(after))
    return {key.key: (key.before, key.after) for key in found.keys}


def test_keys_of_a_block_are_called_by_its_name() -> None:
    assert changed(BATCH) == {"data.large.batch": (8, 4)}
    assert changed(("batch = 16", "batch = 2")) == {"data.small.batch": (16, 2)}
    assert changed(SAMPLING) == {"train.sampling": ("temperature(0.5)", "round_robin")}
    assert changed(("temperature(0.5)", "temperature(0.7)")) == {"train.sampling.power": (0.5, 0.7)}
    assert changed(("24, 24", "32, 32")) == {"data.large.input": ("image(1, 24, 24)", "image(1, 32, 32)")}


def test_another_block_for_a_task_is_a_change_of_the_task() -> None:
    found = compare(loads(TWO), loads(edited(TWO, ("= small\n  target = values", "= large\n  target = values"))))
    assert found.tasks_changed == ("ink",)
    assert [(key.key, key.before, key.after) for key in found.keys] == [("task.ink.data", "small", "large")]


def test_a_block_that_comes_goes_or_has_another_name_is_told_of() -> None:
    assert changed(*ADDED)["data.third.batch"] == (None, 16)
    renamed = changed(("arrays large", "arrays big"), ("= large", "= big"))
    assert renamed["task.letter.data"] == ("large", "big")
    assert renamed["data.large.batch"] == (8, None)
    assert renamed["data.big.batch"] == (None, 8)


def test_a_name_for_the_only_block_and_how_it_would_take_turns_change_nothing() -> None:
    one = edited(TWO, (TWO[TWO.index("data arrays large") : TWO.index("task digit")], ""), ("= large", "= small"))
    plain = edited(
        one,
        ("data arrays small", "data arrays"),
        *[("  data   = small\n", "")] * 3,
        ("  sampling = temperature(0.5)\n", ""),
    )
    assert digest(loads(one)) == digest(loads(plain))
    assert not compare(loads(one), loads(plain))
    found = {key.key for key in compare(loads(plain), loads(TWO)).keys}
    assert {"data.arrays", "data.small", "data.large", "task.digit.data", "train.sampling.power"} <= found | {
        "train.sampling.power"
    }
    assert "train.sampling" in found


def test_blocks_in_another_order_are_told_of() -> None:
    start, middle, end = (TWO.index(word) for word in ("data arrays small", "data arrays large", "task digit"))
    turned = TWO[:start] + TWO[middle:end] + TWO[start:middle] + TWO[end:]
    found = compare(loads(TWO), loads(turned))
    assert found.reordered == ("data blocks",)
    assert found.keys == ()
    assert digest(loads(TWO)) != digest(loads(turned))


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    before, after = tmp_path / "before.mtl", tmp_path / "after.mtl"
    before.write_text(TWO, encoding="utf-8")
    after.write_text(edited(TWO, BATCH, SAMPLING, ("mid  = digit, ink + letter", "mid  = all")), encoding="utf-8")
    return before, after


def invoke(*words: object, status: int = 0) -> str:
    done = CliRunner().invoke(main, list(map(str, words)), catch_exceptions=False)
    assert done.exit_code == status, done.output
    return done.output


def test_the_difference_as_lines_as_json_and_as_a_page(two: tuple[Path, Path], tmp_path: Path) -> None:
    lines = invoke("diff", *two).splitlines()
    assert "data.large.batch: 8 -> 4" in lines
    assert "train.sampling: temperature(0.5) -> round_robin" in lines
    found = json.loads(invoke("diff", *two, "--json"))
    assert found["settings"] == ["data", "train"]
    assert {"key": "data.large.batch", "from": 8, "to": 4} in found["keys"]
    page = tmp_path / "page.html"
    invoke("diff", *two, "--html", page)
    written = page.read_text(encoding="utf-8")
    assert "data.large.batch" in written
    assert "ink + letter" in written


def test_check_show_and_fmt_take_it(two: tuple[Path, Path]) -> None:
    cost = loads(TWO).cost()
    assert f"{cost.parameters:,} parameters" in invoke("check", two[0], "--pedantic")
    shown = invoke("show", two[0])
    for task in ("digit", "ink", "letter"):
        assert f"{cost.tasks[task].parameters:,}" in shown
    assert invoke("fmt", "--check", two[0]) == ""


def test_show_gives_each_copy_the_weights_that_it_has_for_its_block(tmp_path: Path) -> None:
    text = edited(TWO, ("adaptive_avg_pool2d(1) | flatten", "flatten"))
    path = tmp_path / "sized.mtl"
    path.write_text(text, encoding="utf-8")
    lines = [line for line in invoke("show", path).splitlines() if " out " in line]
    assert [line.split("out")[1].split("parameters")[0].strip() for line in lines] == ["520", "520", "1,160"]


def test_both_sides_changes_of_different_blocks_are_merged() -> None:
    ours, theirs = edited(TWO, BATCH), edited(TWO, ("batch = 16", "batch = 2  # small"), SAMPLING)
    merged = merge(TWO, ours, theirs)
    assert merged.conflicts == ()
    assert merged.source.text == edited(TWO, BATCH, ("batch = 16", "batch = 2  # small"), SAMPLING)


def test_both_sides_changes_of_one_key_of_a_block_are_a_conflict() -> None:
    merged = merge(TWO, edited(TWO, BATCH), edited(TWO, ("batch   = 8", "batch   = 2")))
    assert [conflict.key for conflict in merged.conflicts] == ["data.large.batch"]
    assert [taken(merged, side).blocks[1].batch for side in (1, 2)] == [4, 2]


def test_a_block_with_its_task_comes_with_the_side_that_added_it() -> None:
    merged = merge(TWO, edited(TWO, *ADDED), edited(TWO, BATCH, ("mid  = digit, ink + letter", "mid  = all")))
    assert merged.conflicts == ()
    found = loads(merged.source.text)
    assert [data.name for data in found.blocks] == ["small", "large", "third"]
    assert found.blocks[1].batch == 4
    assert set(found.sharing.component("mid", "digit")) == {"digit", "ink", "letter"}
    assert [set(each) for each in found.sharing.sources] == [{"digit", "ink"}, {"letter"}, {"sign"}]


def test_merges_that_only_tasks_of_other_samples_link_are_a_conflict_where_the_rule_breaks() -> None:
    """Ours shares `mid` of digit with letter, theirs that of ink: together digit and ink would share it, and not `stem`."""
    base = edited(
        TWO, ("stem = all", "stem = digit, ink + letter"), ("mid  = digit, ink + letter", "mid  = digit, ink, letter")
    )
    ours = edited(base, ("mid  = digit, ink, letter", "mid  = digit + letter, ink"))
    theirs = edited(base, ("mid  = digit, ink, letter", "mid  = digit, ink + letter"))
    merged = merge(base, ours, theirs)
    assert "sharing.mid" in [conflict.key for conflict in merged.conflicts]
    assert {taken(merged, side).sharing for side in (1, 2)} == {loads(ours).sharing, loads(theirs).sharing}


def test_a_merge_tells_of_a_block_that_nobody_reads_any_more(tmp_path: Path) -> None:
    """Ours gives the block's only task another block, and leaves it out; theirs changes the block."""
    one = edited(TWO, (TWO[TWO.index("data arrays large") : TWO.index("task digit")], ""), ("= large", "= small"))
    merged = merge(TWO, one, edited(TWO, BATCH))
    assert merged.conflicts
    assert [data.name for data in taken(merged, 1).blocks] == ["small"]


def test_runs_are_counted_across_blocks() -> None:
    found = consensus([loads(TWO, "a"), loads(edited(TWO, ("mid  = digit, ink + letter", "mid  = all")), "b")])
    counted = {(pair.layer, *pair.tasks): pair.runs for pair in found.pairs}
    assert counted["mid", "ink", "letter"] == 2
    assert counted["mid", "digit", "letter"] == 1
    assert counted["out", "ink", "letter"] == 0


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("data.small.batch", "4"),
        ("data.large.augment", "[]"),
        ("data.large.seed", "7"),
        ("task.letter.data", "small"),
        ("train.sampling", "equal"),
    ],
)
def test_a_setting_names_the_block(tmp_path: Path, path: str, text: str) -> None:
    spec = tmp_path / "two.mtl"
    spec.write_text(TWO, encoding="utf-8")
    if path == "task.letter.data":
        with pytest.raises(MtlError, match="no task reads `data large`"):
            load(spec, {path: text})
        return
    found = load(spec, {path: text})
    keys = {key.key for key in compare(loads(TWO), found).keys}
    assert keys == {path}


def test_a_setting_without_the_name_is_not_one(tmp_path: Path) -> None:
    spec = tmp_path / "two.mtl"
    spec.write_text(TWO, encoding="utf-8")
    with pytest.raises(MtlError, match="MTL112") as caught:
        load(spec, {"data.batch": "4"})
    assert "`data.large`, `data.small`" in str(caught.value)


def test_two_blocks_without_names_of_their_own_are_set_by_their_kinds(tmp_path: Path) -> None:
    text = edited(
        TWO,
        ("data arrays small", "data arrays"),
        *[("= small", "= arrays")] * 2,
        ('data arrays large {\n  path    = "large.npz"\n  input   = image(1, 24, 24)', "data scenes {\n  input   = image(3, 24, 24)"),
        ('  data   = large\n  target = classes(5)\n  head   = linear(outputs)', "  data   = scenes\n  target = values(1)\n  head   = mid | conv2d(outputs, 1) | resize_as(image)"),
        ("stem = all", "stem = digit + ink, letter"), ("mid  = digit, ink + letter", "mid  = digit, ink, letter"),
    )  # fmt: skip
    spec = tmp_path / "kinds.mtl"
    spec.write_text(text, encoding="utf-8")
    found = load(spec, {"data.scenes.batch": "3", "data.arrays.batch": "5"})
    assert [data.batch for data in found.blocks] == [5, 3]


def test_rewriting_the_sharing_leaves_the_blocks_alone() -> None:
    spec = loads(TWO)
    apart = spec.with_sharing(spec.sharing.apart())
    assert apart.blocks == spec.blocks
    assert apart.sharing.sources == spec.sharing.sources
    assert apart.source.text.split("sharing")[0] == TWO.split("sharing {")[0].split("sharing")[0]
    assert apart.with_sharing(spec.sharing) == spec


def test_warnings_are_about_each_block() -> None:
    text = edited(TWO, ("augment = [hflip]", "augment = [hflip, hflip]"), ("batch   = 8", "batch   = 1"))
    reported = check(Source("two.mtl", text), pedantic=True).diagnostics
    found = [each for each in reported if each.code != "MTL919"]  # which is about layers
    assert [(each.code, each.place[0]) for each in found] == [("MTL918", 12), ("MTL953", 13)]


def test_turns_of_a_single_source_are_warned_of() -> None:
    one = edited(TWO, (TWO[TWO.index("data arrays large") : TWO.index("task digit")], ""), ("= large", "= small"))
    found = check(Source("one.mtl", one), pedantic=True).diagnostics
    assert [(each.code, each.span.text) for each in found if each.span] == [("MTL943", "temperature(0.5)")]
