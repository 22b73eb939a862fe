"""Settings from outside are edits of the text: what runs is what the text says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtsldsl.datasets.registry import DATASETS, data_kind
from mtsldsl.diagnostics import MtlError, Source
from mtsldsl.editing import dumps, load, loads, overridden
from mtsldsl.editing.overrides import Setting
from mtsldsl.language.kinds import Key, Many, Maybe, Text
from mtsldsl.language.schema import BlockSchema
from mtsldsl.syntax import parse
from tests.ir.specs import text

STRUCTURE = """\
structure mtsl {
  phases    = [1, 2]   # early
  threshold = 0.5
}
"""
SPEC = "let width = 8  # of the first layer\n\n" + STRUCTURE
WHOLE = text(SPEC)


def codes(error: MtlError) -> list[str]:
    return [diagnostic.code for diagnostic in error.diagnostics]


def test_a_value_that_is_there_is_replaced_in_place() -> None:
    spec = loads(WHOLE, overrides={"structure.threshold": "0.75"})
    assert spec.structure is not None
    assert spec.structure.settings.threshold == 0.75
    assert dumps(spec) == WHOLE.replace("threshold = 0.5", "threshold = 0.75")


def test_a_key_that_is_not_there_is_added_in_line_with_the_others() -> None:
    spec = loads(WHOLE, overrides={"structure.align": "0.3"})
    assert "  threshold = 0.5\n  align     = 0.3\n}" in dumps(spec)


def test_a_key_of_an_empty_block_is_added() -> None:
    whole = WHOLE.replace("data scenes {\n  input = image(3, 32, 32)\n}", "data scenes {}")
    spec = loads(whole, overrides={"data.input": "image(3, 32, 64)"})
    assert spec.data.shape == (3, 32, 64)


def test_a_task_is_reached_by_its_name() -> None:
    spec = loads(WHOLE, overrides={"task.depth.weight": 2, "task.edge.target": "binary"})
    assert [task.weight for task in spec.tasks] == [1.0, 2.0, 1.0, 1.0]


def test_a_constant_and_a_layer_are_reached_by_their_names() -> None:
    spec = loads(WHOLE, overrides={"width": "24", "backbone.stem": "conv2d(width, 3, stride=2) | batch_norm | relu"})
    assert spec.layer("stem").body.shape == (24, 16, 16)


def test_python_values_are_written_in_the_words_of_the_language() -> None:
    overrides = {"structure.phases": [2, 3], "train.epochs": 7, "data.augment": ["hflip(p=1.0)"]}
    spec = loads(WHOLE, overrides=overrides)
    assert spec.structure is not None
    assert (spec.structure.settings.phases, spec.train.epochs, spec.data.augment[0].arguments["p"]) == ((2, 3), 7, 1.0)


def test_none_is_what_the_record_has_where_nothing_is_said() -> None:
    assert loads(WHOLE, overrides={"train.clip": 0.5}).train.clip == 0.5
    assert loads(WHOLE, overrides={"train.clip": None}).train.clip is None


@pytest.mark.parametrize("value", [{"a": 1}, object(), {1, 2}, b"7"])
def test_a_python_value_of_no_kind_that_the_language_has_is_refused(value: Any) -> None:
    with pytest.raises(MtlError) as caught:
        loads(WHOLE, overrides={"train.epochs": value})
    assert codes(caught.value) == ["MTL201"]


ARRAYS = WHOLE.replace("data scenes {", 'data arrays {\n  path = "here.npz"')


@pytest.mark.parametrize("path", ["../data", "C:\\data", "x", "a b", 'say "so"', "", "1", "[a]", "# no"])
def test_a_string_needs_no_quotes_where_the_key_takes_one(path: str) -> None:
    assert loads(ARRAYS, overrides={"data.path": path}).data.options["path"] == path


def test_a_string_in_quotes_is_taken_as_it_is() -> None:
    spec = loads(ARRAYS, overrides={"data.path": '"../data"'})
    assert spec.data.options["path"] == "../data"


TEXTS = [
    (block, key)
    for block in (data_kind(name).block for name in DATASETS)
    for key in block.keys or ()
    if key.kind in (Maybe(Text()), Many(Text()), Many(Text(), 1))
]


@pytest.mark.parametrize(("block", "key"), TEXTS, ids=[f"{block.label}.{key.name}" for block, key in TEXTS])
def test_so_does_one_that_may_be_left_out_and_each_of_a_list(block: BlockSchema, key: Key) -> None:
    source = Source("a.mtl", f"mtl 1\ndata {block.label} {{\n}}\n")
    several = isinstance(key.kind, Many)
    settings: list[tuple[Setting, str]] = [
        *([('[grade, "b c"]', '["grade", "b c"]'), (["grade", "b c"], '["grade", "b c"]')] if several else []),
        *([] if several else [("grade", '"grade"'), ("a b", '"a b"'), ('"none"', '"none"'), ("none", "none")]),
    ]
    for setting, written in settings:
        found = overridden(source, {f"data.{key.name}": setting})
        assert re.search(rf"^ *{key.name} *= (.*)$", found.text, re.MULTILINE)[1] == written  # type: ignore[index]


@pytest.mark.parametrize(
    ("path", "nearest"),
    [
        ("train.epoch", "train.epochs"),
        ("widht", "width"),
        ("epochs", "train.epochs"),
        ("epoch", "train.epochs"),
        ("lr", "optimizer = adam(lr=..."),
        ("task.dept.weight", "task.depth.weight"),
        ("structure.alig", "structure.align"),
    ],
)
def test_a_path_that_names_nothing_is_reported_with_the_nearest(path: str, nearest: str) -> None:
    with pytest.raises(MtlError) as caught:
        loads(WHOLE, overrides={path: "1"})
    assert codes(caught.value) == ["MTL112"]
    assert nearest in caught.value.diagnostics[0].remedy


@pytest.mark.parametrize("value", ["", "1\n}\nlet x = 2", "1  # why", "1 2", "} {", "(", "a = 3", "1\nseed = 2"])
def test_what_is_not_one_value_is_refused(value: str) -> None:
    with pytest.raises(MtlError) as caught:
        loads(WHOLE, overrides={"train.epochs": value})
    assert codes(caught.value) == ["MTL201"]


def test_every_wrong_setting_is_reported() -> None:
    with pytest.raises(MtlError) as caught:
        loads(WHOLE, overrides={"no": "1", "train.epochs": "(", "nor.this": "2"})
    assert codes(caught.value) == ["MTL112", "MTL201", "MTL112"]


def test_a_setting_is_checked_as_if_it_were_written_in_the_text() -> None:
    with pytest.raises(MtlError) as caught:
        loads(WHOLE, overrides={"train.epochs": "0", "structure.threshold": "2"})
    assert codes(caught.value) == ["MTL202", "MTL202"]


numbers = st.one_of(st.integers(1, 10**6), st.floats(1e-6, 1e6).map(lambda value: round(value, 9)))
paths = st.dictionaries(
    st.sampled_from(
        ["width", "train.epochs", "train.seed", "structure.align", "structure.threshold", "task.edge.weight"]
    ),
    numbers,
)


@settings(max_examples=40, deadline=None)
@given(paths)
def test_overriding_twice_is_overriding_once(overrides: dict[str, float]) -> None:
    once = overridden(Source("text", WHOLE), overrides)
    assert overridden(once, overrides).text == once.text
    assert [comment.text for comment in parse(once).comments] == ["# of the first layer", "# early"]


@settings(max_examples=25, deadline=None)
@given(st.integers(3, 50), st.floats(-1, 1), st.floats(0, 10))
def test_a_spec_with_overrides_is_the_spec_of_its_text(epochs: int, threshold: float, weight: float) -> None:
    overrides = {"train.epochs": epochs, "structure.threshold": threshold, "task.normal.weight": weight}
    spec = loads(WHOLE, overrides=overrides)
    assert loads(dumps(spec)) == spec
    assert spec.structure is not None
    assert (spec.train.epochs, spec.structure.settings.threshold, spec.task("normal").weight) == (
        epochs,
        threshold,
        weight,
    )


TEMPLATE = WHOLE.replace("task edge {", "task [edge, rim] {")
BOTH = "task.[edge, rim].weight"


def remedy_for(path: str, whole: str = TEMPLATE) -> str:
    with pytest.raises(MtlError) as caught:
        loads(whole, overrides={path: "2"})
    assert codes(caught.value) == ["MTL112"]
    return caught.value.diagnostics[0].remedy


@pytest.mark.parametrize("path", [BOTH, "task.[edge,rim].weight", "task.[ edge , rim ].weight"])
def test_tasks_that_are_written_together_are_set_together(path: str) -> None:
    spec = loads(TEMPLATE, overrides={path: "2"})
    assert {task.name: task.weight for task in spec.tasks if task.weight != 1} == {"edge": 2, "rim": 2}


def test_one_task_of_several_that_are_written_together_is_an_error_that_says_what_may_be_done() -> None:
    assert remedy_for("task.rim.weight") == f"set it for all of them, `{BOTH}`, or write `task rim {{ ... }}` apart"


def sharing_of(whole: str, overrides: dict[str, str]) -> dict[str, list[set[str]]]:
    sharing = loads(whole, overrides=overrides).sharing
    return {layer: [set(component) for component in sharing[layer]] for layer in sharing.backbone.layers}


EACH = [{"segment"}, {"depth"}, {"edge"}, {"normal"}]
ALL = [{"segment", "depth", "edge", "normal"}]


@pytest.mark.parametrize("block", ["", "sharing {\n}\n", "sharing {}\n", "sharing { stem = each }\n"])
def test_the_sharing_of_a_layer_without_a_line_is_added(block: str) -> None:
    found = sharing_of(text(block), {"sharing.stem": "all"})
    assert found == {layer: ALL if layer == "stem" else EACH for layer in ("stem", "enc1", "enc2", "dec1", "dec2")}


@pytest.mark.parametrize(
    ("path", "lines"),
    [
        ("enc1", ["stem = all", "enc1 = each", "enc2..dec2 = each"]),  # as the text is below
        ("stem..enc1", ["stem..enc1 = each", "enc2..dec2 = each"]),
        ("enc1..dec1", ["stem = all", "enc1..dec1 = each", "dec2 = each"]),
        ("stem..dec2", ["stem..dec2 = each"]),
        ("stem .. dec2", ["stem..dec2 = each"]),
        ("dec1", ["stem..enc1 = all", "enc2 = each", "dec1 = each", "dec2 = each"]),
    ],
)
def test_a_layer_inside_a_range_is_set_and_the_others_stay(path: str, lines: list[str]) -> None:
    whole = text("sharing {\n  stem..enc1 = all  # first\n  enc2..dec2 = each\n}\n")
    changed = overridden(Source("text", whole), {f"sharing.{path}": "each"}).text
    block = changed[changed.index("sharing {") :]
    assert [re.sub(r"\s+", " ", line.split("#")[0]).strip() for line in block.splitlines()[1:-1]] == lines
    assert "# first" in block
    assert loads(changed).sharing == loads(whole, overrides={f"sharing.{path}": "each"}).sharing


def test_the_first_layer_of_a_range_is_set_and_the_range_begins_behind_it() -> None:
    whole = text("sharing {\n  # why\n  stem..dec2 = each\n}\n")
    assert overridden(Source("text", whole), {"sharing.stem": "all"}).text == whole.replace(
        "  stem..dec2 = each\n", "  stem       = all\n  enc1..dec2 = each\n"
    )


def test_the_sharing_of_an_imported_backbone_is_added(tmp_path: Path) -> None:
    whole = text()
    start, end = whole.index("backbone {"), whole.index("train {")
    (tmp_path / "lib.mtl").write_text(f"mtl 1\n{whole[start:end]}")
    path = tmp_path / "spec.mtl"
    path.write_text(f"{whole[:start]}{whole[end:]}".replace("mtl 1\n", 'mtl 1\nimport "lib.mtl"\n'))
    assert len(load(path, {"sharing.stem": "all"}).sharing["stem"]) == 1


def test_a_sharing_that_was_set_and_is_wrong_is_reported_as_set() -> None:
    with pytest.raises(MtlError) as caught:
        loads(text(), overrides={"sharing.enc1": "all"})
    (found,) = caught.value.diagnostics
    assert (found.code, found.cause.partition(";")[2]) == ("MTL405", " `sharing.enc1` was set to it")


@pytest.mark.parametrize(
    ("path", "remedy"),
    [
        ("sharing.stme", "did you mean `sharing.stem`?"),
        ("shraing.stem", "did you mean `sharing.stem`?"),
        ("sharing.stem..encoder", "`sharing` has: dec1, dec2, enc1, enc2, stem"),
        ("backbone.hidden1", "`backbone` has: dec1, dec2, enc1, enc2, stem"),
        ("training.epochs", "did you mean `train.epochs`?"),
        ("train.num_epochs", "did you mean `train.epochs`?"),
        ("train.optimizer.lr", "set `train.optimizer` whole, its arguments with it"),
        ("weight", "did you mean `task.depth.weight` or `task.edge.weight` or `task.normal.weight`?"),
        ("data.rotate", "`data` has: augment, batch, images, input, seed, test, validation"),
        ("task.depth.classes", "it is an argument: `target = classes(...)`"),
    ],
)
def test_a_remedy_for_a_path_compares_blocks_with_blocks_and_keys_with_keys(path: str, remedy: str) -> None:
    assert remedy_for(path, WHOLE) == remedy


@pytest.mark.parametrize("path", ["task.rin.weight", "task.edge.weigth", "task.[edge].weight", "task.rim.los"])
def test_what_a_remedy_proposes_can_be_set(path: str) -> None:
    remedy = remedy_for(path)
    assert remedy.startswith("did you mean")
    for proposed in re.findall(r"`([^`]+)`", remedy):
        with pytest.raises(MtlError) as caught:
            loads(TEMPLATE, overrides={proposed: "none"})
        assert "MTL112" not in codes(caught.value)


def test_the_settings_are_listed_briefly() -> None:
    assert remedy_for("train.qqqqq") == (
        "`train` has: accumulate, balance, clip, ema, epochs, init, keep, optimizer, precision, sampling, scheduler, seed, stop, teach, teachers, warmup"
    )
    assert remedy_for("zzz") == (
        "name a key of a block: `backbone`, `data`, `sharing`, `structure`, `task.[edge, rim]`, `task.depth`, "
        "`task.normal`, `task.segment`, `train`, `tuning`; or the constant `width`"
    )


def test_a_report_about_a_value_that_was_set_says_so() -> None:
    with pytest.raises(MtlError) as caught:
        loads(WHOLE, overrides={"train.epochs": "0", "structure.threshold": "0.75"})
    (found,) = caught.value.diagnostics
    assert found.cause == "`epochs` is out of range: `0`; `train.epochs` was set to it"


def test_so_does_one_about_a_constant_of_an_imported_file(tmp_path: Path) -> None:
    (tmp_path / "lib.mtl").write_text("mtl 1\nlet width = 8\n")
    path = tmp_path / "spec.mtl"
    path.write_text(text().replace("mtl 1\n", 'mtl 1\nimport "lib.mtl"\n').replace("conv2d(8, 3)", "conv2d(width, 3)"))
    with pytest.raises(MtlError) as caught:
        load(path, {"width": "-4"})
    (found,) = caught.value.diagnostics
    assert found.span is not None
    assert found.span.source.name.endswith("lib.mtl")
    assert found.cause.endswith("; `width` was set to it")
