"""What differs between two specs: every kind of change by example, and that nothing is overlooked."""

from __future__ import annotations

import attrs
from hypothesis import HealthCheck, given, settings

from mtsldsl.compare.key_changes import KeyChange
from mtsldsl.compare.spec_difference import SpecDifference, compare
from mtsldsl.editing import loads
from mtsldsl.ir import Spec
from mtsldsl.sharing import Sharing
from tests.compare.versions import Version, three_sides
from tests.ir.specs import text

BASE = text("sharing {\n  stem = segment + depth, edge, normal\n}\n", "structure mtsl {\n  phases = [2]\n}\n")


def edited(*changes: tuple[str, str]) -> str:
    base = BASE
    for old, new in changes:
        assert old in base
        base = base.replace(old, new, 1)
    return base


def difference(*changes: tuple[str, str]) -> SpecDifference:
    return compare(loads(BASE), loads(edited(*changes)))


def keys(found: SpecDifference) -> dict[str, tuple[object, object]]:
    return {change.key: (change.before, change.after) for change in found.keys}


def without_history(spec: Spec) -> Spec:
    return attrs.evolve(spec, history=())


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(three_sides())
def test_two_specs_differ_exactly_where_they_do_not_mean_the_same(sides: tuple[Version, Version, Version]) -> None:
    before, after, _ = (loads(side.text()) for side in sides)
    assert bool(compare(before, after)) == (without_history(before) != without_history(after))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(three_sides())
def test_the_other_way_round_everything_is_the_other_way_round(sides: tuple[Version, Version, Version]) -> None:
    before, after, _ = (loads(side.text()) for side in sides)
    there, back = compare(before, after), compare(after, before)
    assert sorted(map(repr, back.keys)) == sorted(
        repr(KeyChange(each.key, each.after, each.before)) for each in there.keys
    )
    assert [(each.layer, each.before, each.after) for each in back.sharing] == [
        (each.layer, each.after, each.before) for each in there.sharing
    ]
    opposite = {"merge": "split", "split": "merge", "regroup": "regroup"}
    assert [each.kind for each in back.sharing] == [opposite[each.kind] for each in there.sharing]
    assert back.parameters == there.parameters[::-1]


def test_settings_are_compared_key_by_key_and_argument_by_argument() -> None:
    found = difference(
        ("epochs = 4", "epochs = 30\n  optimizer = adam(lr=0.01)\n  scheduler = step(2)"),
        ("phases = [2]", "phases = [2, 3]\n  threshold = 0.9"),
        ("image(3, 32, 32)", "image(3, 64, 32)\n  batch = 8\n  augment = [hflip]"),
    )
    assert keys(found) == {
        "data.input": ("image(3, 32, 32)", "image(3, 64, 32)"),
        "data.batch": (16, 8),
        "data.augment": ([], ["hflip"]),
        "train.epochs": (4, 30),
        "train.optimizer.lr": (0.001, 0.01),
        "train.scheduler": (None, "step(2)"),
        "structure.phases": ([2], [2, 3]),
        "structure.threshold": (0.8, 0.9),
    }
    assert found.settings == ("data", "train", "structure")
    assert found.layers_changed == ()


def test_another_optimizer_is_one_change() -> None:
    found = difference(("epochs = 4", "epochs = 4\n  optimizer = sgd(lr=0.1, momentum=0.9)"))
    assert keys(found) == {"train.optimizer": ("adam", "sgd(lr=0.1, momentum=0.9)")}


def test_a_block_that_comes_or_goes_shows_its_keys() -> None:
    gone = keys(difference(("structure mtsl", "structure none")))
    assert gone["structure"] == ("mtsl", None)
    assert gone["structure.phases"] == ([2], None)
    back = keys(compare(loads(edited(("structure mtsl", "structure none"))), loads(BASE)))
    assert back == {key: (after, before) for key, (before, after) in gone.items()}


def test_tasks_are_compared_key_by_key() -> None:
    found = difference(
        ("target = values(1)", "target = values(1)\n  loss = mse\n  weight = 2"),
        ("conv2d(5, 1) | resize_as(image)", "dec1 | conv2d(5, 1) | resize_as(image)"),
    )
    assert keys(found) == {
        "task.depth.loss": ("l1", "mse"),
        "task.depth.weight": (1.0, 2.0),
        "task.segment.head": ("conv2d(5, 1) | resize_as(image)", "dec1 | conv2d(5, 1) | resize_as(image)"),
    }
    assert found.tasks_changed == ("segment", "depth")


def test_a_layer_changes_where_it_computes_something_else_and_not_where_only_its_size_does() -> None:
    found = difference(("enc1 = conv2d(8, 3, stride=2)", "enc1 = conv2d(8, 5)"))
    assert found.layers_changed == ("enc1",)
    assert keys(found) == {
        "backbone.enc1": (
            "conv2d(8, 3, stride=2) | batch_norm | relu",
            "conv2d(8, 5) | batch_norm | relu",
        )
    }


def test_a_layer_that_reads_more_channels_is_changed_though_its_line_is_not() -> None:
    found = difference(("enc2 = conv2d(16, 3)", "enc2 = conv2d(32, 3)"))
    assert found.layers_changed == ("enc2", "dec1")
    assert keys(found)["backbone.dec1"] == ("1,744 parameters", "2,896 parameters")


def test_a_block_that_is_defined_otherwise_shows_what_it_becomes() -> None:
    block = "block unit(n) = conv2d(n, 3) | relu\n\nbackbone {"
    base = edited(("backbone {", block), ("enc2 = conv2d(16, 3) | batch_norm | relu", "enc2 = unit(16)"))
    found = compare(loads(base), loads(base.replace("conv2d(n, 3) | relu", "conv2d(n, 3) | gelu")))
    assert [change.key for change in found.keys] == ["backbone.enc2"]
    assert [found.keys[0].before.split(" | ")[-1], found.keys[0].after.split(" | ")[-1]] == ["relu", "gelu"]


def test_a_renamed_layer_is_recognised_and_its_sharing_compared() -> None:
    found = difference(
        ("  enc1 =", "  stage1 ="),
        ("concat(enc1)", "concat(stage1)"),
        ("  enc2 =", "  stage2 ="),
        ("normal\n}", "normal\n  stage1 = segment + depth, edge, normal\n}"),
    )
    assert found.layers_renamed == (("enc1", "stage1"), ("enc2", "stage2"))
    assert (found.layers_added, found.layers_removed, found.layers_changed) == ((), (), ())
    assert [(each.layer, each.renamed, each.kind) for each in found.sharing] == [("enc1", "stage1", "merge")]
    assert found.as_json()["layers"]["renamed"] == [["enc1", "stage1"], ["enc2", "stage2"]]


def test_a_renamed_layer_is_told_from_its_like_by_what_it_reads() -> None:
    base = edited(("  dec1 =", "  left = enc1 | relu\n  right = enc2 | relu\n  dec1 = enc2 |"))
    after = base.replace("left =", "b =").replace("right =", "a =")
    assert compare(loads(base), loads(after)).layers_renamed == (("left", "b"), ("right", "a"))


def test_layers_and_tasks_that_come_and_go_are_listed() -> None:
    found = difference(
        ("task edge {\n  target = binary(1)", "task outline {\n  target = binary(1)"),
        ("depth, edge, normal", "depth, outline, normal"),
        ("  dec1 =", "  more = conv2d(16, 1) | gelu\n  dec1 ="),
    )
    assert (found.tasks_removed, found.tasks_added) == (("edge",), ("outline",))
    assert (found.layers_removed, found.layers_added) == ((), ("more",))
    assert found.sharing == ()


def test_a_new_task_that_shares_a_layer_joins_it() -> None:
    new = "task copy2 {\n  target = reconstruct\n  head = conv2d(3, 1) | resize_as(image)\n}\n\nbackbone {"
    joined = (("backbone {", new), ("segment + depth", "segment + depth + copy2"))
    found = difference(*joined)
    assert [(each.kind, each.after) for each in found.sharing] == [
        ("join", (("segment", "depth", "copy2"), ("edge",), ("normal",)))
    ]
    back = compare(loads(edited(*joined)), loads(BASE))
    assert [each.kind for each in back.sharing] == ["leave"]


def test_tasks_in_another_order_are_a_difference() -> None:
    segment = BASE[BASE.index("task segment") : BASE.index("task depth")]
    found = difference((segment, ""), ("backbone {", f"{segment}backbone {{"))
    assert found.reordered == ("tasks",)
    assert found.sharing == ()


def test_the_history_makes_no_difference_but_is_told() -> None:
    line = "merge(epoch=1, layer=stem, tasks=segment + depth, similarity=0.5)"
    found = compare(loads(BASE), loads(f"{BASE}\nhistory {{\n  {line}\n}}\n"))
    assert not found
    assert "history" not in found.as_json()
    assert found.as_json(history=True)["history"]["added"] == [
        {"kind": "merge", "epoch": 1, "layer": "stem", "tasks": ["segment", "depth"], "similarity": 0.5}
    ]


def test_every_kind_of_change_of_the_sharing_has_its_name() -> None:
    before = loads(BASE)
    tasks = before.sharing.tasks

    def kinds(*components: list[str]) -> list[str]:
        stem = Sharing(before.backbone, tasks, {**before.sharing.components, "stem": components})
        return [each.kind for each in compare(before, before.with_sharing(stem)).sharing]

    assert kinds(["segment", "depth"], ["edge"], ["normal"]) == []
    assert kinds(["segment", "depth"], ["edge", "normal"]) == ["merge"]
    assert kinds(["segment"], ["depth"], ["edge"], ["normal"]) == ["split"]
    assert kinds(["segment"], ["depth", "edge"], ["normal"]) == ["regroup"]


COLUMNS = """\
mtl 1

data table {
  path   = "skin.csv"
  inputs = ["age"]
  input  = row(1)
}

task signs {
  target = binary(2)
  field  = FIELD
  head   = linear(2)
}

backbone {
  stem = linear(8)
}

train {
  epochs = 1
}
"""


def test_columns_are_told_apart_as_a_spec_writes_them() -> None:
    old, new = (loads(COLUMNS.replace("FIELD", field)) for field in ('["s, 1", t]', '[s, "1, t"]'))
    assert keys(compare(old, new)) == {"task.signs.field": ('["s, 1", t]', '[s, "1, t"]')}


def test_a_column_that_is_called_as_a_value_is_quoted_wherever_it_is_written() -> None:
    spec = loads(COLUMNS.replace("FIELD", '["none", "false"]'))
    assert spec.tasks[0].columns == ("none", "false")
    assert spec.tasks[0].field_text == '["none", "false"]'
    given = loads(COLUMNS.replace("FIELD", "[a, b]"), overrides={"task.signs.field": ["none", "false"]})
    assert given.tasks[0].field == spec.tasks[0].field
