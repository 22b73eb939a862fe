"""`tuning` as a block: read, set, compared, merged, printed and kept as others are."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mtsldsl.compare.spec_difference import compare
from mtsldsl.diagnostics import MtlError, Source
from mtsldsl.editing import dumps, loads, rewritten
from mtsldsl.editing.checking import check
from mtsldsl.ir.normal import digest
from mtsldsl.ir.settings import settings
from mtsldsl.language.constants import Named
from mtsldsl.syntax.format import format_text
from tests.compare.merging import merge
from tests.ir.specs import LAYERS, TASKS, text

FROZEN = Named("frozen")
TUNED = text("tuning {\n  stem..enc1 = frozen  # as they are\n  enc2 = rate(0.1)\n  depth = rate(3)\n}\n")


def tuning(text: str, **settings: str) -> dict[str, float]:
    """The factors that a text says, 0 for what is frozen."""
    spec = loads(text, overrides={f"tuning.{name}": value for name, value in settings.items()})
    return dict.fromkeys(spec.frozen, 0.0) | spec.rates


def test_a_line_is_for_a_layer_each_layer_of_a_range_or_the_head_of_a_task() -> None:
    assert tuning(TUNED) == {"stem": 0, "enc1": 0, "enc2": 0.1, "depth": 3}
    assert list(loads(TUNED).tuning) == ["stem", "enc1", "enc2", "depth"]
    assert tuning(text()) == tuning(text("tuning {\n}\n")) == {}
    assert tuning(text("let slow = rate(0.5)\n\ntuning {\n  normal = slow\n}\n")) == {"normal": 0.5}


def test_a_setting_takes_a_line_and_takes_a_range_apart() -> None:
    known = tuning(TUNED)
    assert tuning(TUNED, enc2="frozen") == {**known, "enc2": 0}
    assert tuning(TUNED, enc1="rate(2)") == {**known, "enc1": 2}
    assert tuning(TUNED, edge="frozen", depth="frozen") == {**known, "edge": 0, "depth": 0}
    assert tuning(TUNED, **{"enc1..dec1": "rate(0.2)"}) == {
        "stem": 0,
        "enc1": 0.2,
        "enc2": 0.2,
        "dec1": 0.2,
        "depth": 3,
    }
    assert tuning(text(), stem="frozen", normal="rate(0.1)") == {"stem": 0, "normal": 0.1}
    with pytest.raises(MtlError, match=r"did you mean `tuning\.enc2`"):
        tuning(TUNED, enk2="frozen")


def test_settings_are_printed_as_they_are_taken() -> None:
    printed = {name: each for name, each in settings(loads(TUNED)).items() if name.startswith("tuning.")}
    assert printed["tuning.enc2"] == "rate(factor=0.1)"
    assert loads(text(), overrides=printed) == loads(TUNED)


@given(
    st.dictionaries(st.sampled_from((*LAYERS, *TASKS)), st.sampled_from(("frozen", "rate(0.5)", "rate(2)"))), st.data()
)
def test_a_spec_means_something_else_exactly_where_its_tuning_does(lines: dict[str, str], data: st.DataObject) -> None:
    assume(not {*LAYERS, *TASKS} <= {name for name, each in lines.items() if each == "frozen"})

    def with_lines(names: list[str]) -> str:
        return text("tuning {\n" + "".join(f"  {name} = {lines[name]}\n" for name in names) + "}\n")

    one = loads(with_lines(list(lines)))
    assert one == loads(with_lines(data.draw(st.permutations(list(lines)))))
    for other in (loads(TUNED), loads(text())):
        found = compare(one, other)
        assert bool(found) == (digest(one) != digest(other)) == (one.tuning != other.tuning)
        changed = {key.key.split(".")[1] for key in found.keys}
        assert changed == {name for name in (*LAYERS, *TASKS) if one.tuning.get(name) != other.tuning.get(name)}


def test_what_both_sides_change_of_other_layers_is_merged_and_a_new_name_of_a_layer_goes_with_it() -> None:
    ours, theirs = TUNED.replace("rate(0.1)", "rate(0.3)"), TUNED.replace("rate(3)", "frozen\n  edge = rate(7)")
    merged = merge(TUNED, ours, theirs)
    assert not merged.conflicts
    assert tuning(merged.source.text) == {"stem": 0, "enc1": 0, "enc2": 0.3, "depth": 0, "edge": 7}
    assert [each.key for each in merge(TUNED, ours, TUNED.replace("rate(0.1)", "frozen")).conflicts] == ["tuning.enc2"]

    renamed = TUNED.replace("enc1", "first").replace("depth", "far")
    assert compare(loads(TUNED), loads(TUNED.replace("enc1", "first"))).keys == ()
    both = merge(TUNED, renamed, ours)
    assert not both.conflicts
    assert tuning(both.source.text) == {"stem": 0, "first": 0, "enc2": 0.3, "far": 3}


def test_the_block_stays_where_the_sharing_is_rewritten_and_has_one_layout() -> None:
    spec = loads(TUNED)
    evolved = rewritten(spec, spec.sharing.united())
    assert "  stem..enc1 = frozen  # as they are\n  enc2 = rate(0.1)\n" in dumps(evolved)
    assert evolved.tuning == spec.tuning
    assert "\n  enc2       = rate(0.1)\n  depth      = rate(3)\n}" in format_text(Source("s.mtl", TUNED))


def test_a_task_has_nothing_to_learn_where_its_head_and_all_that_it_reads_are_frozen() -> None:
    heads = loads(text("tuning {\n  stem..dec2 = frozen\n  depth = frozen\n  edge = frozen\n}\n"))
    assert heads.settled == {"depth", "edge"}
    assert loads(text("tuning {\n  stem..dec1 = frozen\n  depth = frozen\n}\n")).settled == frozenset()
    with pytest.raises(MtlError, match="nothing is left to learn"):
        loads(text("tuning {\n  stem..dec2 = frozen\n" + "".join(f"  {task} = frozen\n" for task in TASKS) + "}\n"))


@pytest.mark.parametrize(
    ("init", "warned"),
    [
        ("none", ["`stem` to `enc2`", "the head of `depth`"]),
        ('start("x.safetensors")', []),
        ('start("x.safetensors", until=stem)', ["`enc1` to `enc2`", "the head of `depth`"]),
        ('start("x.safetensors", map=timm)', ["the head of `depth`"]),
        ('start("x.safetensors", map=timm, until=enc1)', ["`enc2`", "the head of `depth`"]),
        ('start("x.safetensors", map=timm, since=enc1, until=enc2)', ["`stem`", "the head of `depth`"]),
    ],
)
def test_what_is_frozen_begins_with_known_weights(init: str, warned: list[str]) -> None:
    whole = text("tuning {\n  stem..enc2 = frozen\n  depth = frozen\n}\n").replace(
        "epochs = 4", f"epochs = 4\n  init = {init}"
    )
    found = check(Source("s.mtl", whole), pedantic=True)
    assert found.errors == ()
    causes = [
        each.cause.partition(" is frozen")[0].partition(" are frozen")[0]
        for each in found.diagnostics
        if each.code == "MTL945"
    ]
    assert causes == warned


def test_a_record_holds_what_a_text_can_say() -> None:
    spec = loads(text())
    assert attrs.evolve(spec, tuning={"stem": FROZEN}) == loads(text("tuning {\n  stem = frozen\n}\n"))
    for wrong in ({"stm": FROZEN}, {"stem": Named("freeze")}, {"stem": Named("rate", {"factor": 0})}):
        with pytest.raises(ValueError, match=r"(tuning of|tuning has|factor of)"):
            attrs.evolve(spec, tuning=wrong)
