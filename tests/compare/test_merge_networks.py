"""The merge of specs whose sides rename, remove, add and move layers and tasks, by example; and the markers."""

from __future__ import annotations

from mtsldsl.compare.merge import merge_specs
from mtsldsl.compare.merge_marks import Markers
from mtsldsl.diagnostics import Source
from mtsldsl.editing import loads
from mtsldsl.syntax.format import format_text
from tests.compare.merging import BASE, block, comments, edited, merge, taken


def test_a_layer_that_one_side_renamed_is_shared_as_the_other_evolved_it() -> None:
    ours = edited(
        BASE, ("stem = segment, depth", "stem = segment + depth"), ("enc1 = segment, depth", "enc1 = segment + depth")
    )
    history = "\nhistory {\n  merge(epoch=2, layer=enc1, tasks=segment + depth, similarity=0.9)  # alike\n}\n"
    theirs = BASE.replace("enc1", "first")
    for merged in (merge(BASE, ours + history, theirs), merge(BASE, theirs, ours + history)):
        assert merged.conflicts == ()
        assert merged.source.text == (ours + history).replace("enc1", "first")
        assert len(merged.notes) == 1
        assert "layer `enc1` is `first` now" in merged.notes[0]


def test_a_task_that_one_side_renamed_is_shared_as_the_other_evolved_it() -> None:
    ours = edited(BASE, ("stem = segment, depth", "stem = segment + depth"))
    merged = merge(BASE, ours, BASE.replace("depth", "disparity"))
    assert merged.conflicts == ()
    assert "stem = segment + disparity, edge, normal" in merged.source.text


def test_a_layer_that_both_sides_renamed_differently_is_a_conflict() -> None:
    merged = merge(BASE, BASE.replace("enc2", "second"), BASE.replace("enc2", "deep"))
    assert [conflict.key for conflict in merged.conflicts] == ["backbone.second"]


def test_a_task_that_both_sides_renamed_differently_is_a_conflict() -> None:
    ours, theirs = BASE.replace("depth", "disparity"), BASE.replace("depth", "distance")
    merged = merge(BASE, ours, theirs)
    assert "task.disparity: each side gives it another name" in map(str, merged.conflicts)
    assert taken(merged, 1) == loads(ours)
    assert taken(merged, 2) == loads(theirs)


def test_a_layer_that_both_sides_gave_one_new_name_is_merged_as_any_other() -> None:
    base = edited(BASE, ("stem = segment, depth", "stem = segment + depth"))
    ours = edited(base, ("stem = segment + depth", "stem = segment, depth")).replace("stem", "first")
    theirs = edited(base, ("epochs = 4", "epochs = 5")).replace("stem", "first")
    merged = merge(base, ours, theirs)
    assert merged.conflicts == ()
    assert "  first = segment, depth, edge, normal\n" in merged.source.text


def test_the_sharing_of_a_layer_that_the_other_side_removed_is_noted() -> None:
    base = edited(BASE, ("enc1 = segment, depth, edge, normal", "dec2 = segment, depth, edge, normal"))
    ours = edited(
        base, ("dec2 = segment, depth", "dec2 = segment + depth"), ("stem = segment, depth", "stem = segment + depth")
    )
    for layer in ("enc1", "enc2", "dec1"):
        ours = edited(ours, ("  dec2 = segment", f"  {layer} = segment + depth, edge, normal\n  dec2 = segment"))
    theirs = edited(
        base,
        ("  dec2 = resize_as(stem) | concat(stem) | conv2d(8, 3) | relu\n", ""),
        ("  dec2 = segment, depth, edge, normal\n", ""),
    )
    merged = merge(base, ours, theirs)
    assert merged.conflicts == ()
    assert merged.notes == (
        "left out of the sharing, for layer `dec2` is gone: `dec2 = segment + depth, edge, normal` of ours",
    )


def test_a_comment_of_a_task_that_the_other_side_removed_is_kept_and_said_to_have_moved() -> None:
    task = "task edge {\n  target = binary(1)\n  head   = conv2d(1, 1) | resize_as(image)\n}\n\n"
    base = BASE[: BASE.index("sharing {")]
    merged = merge(base, edited(base, ("task edge", "# thin\ntask edge")), edited(base, (task, "")))
    assert merged.conflicts == ()
    assert merged.source.text.endswith("\n# thin\n")
    assert merged.notes == ("`task.edge` is gone, and its comment `# thin` is at the end of the text",)


def test_the_sharing_of_a_layer_that_stands_in_a_conflict_is_marked_with_it() -> None:
    ours = edited(BASE, ("  dec1 = concat", "  mid = conv2d(16, 3)\n  dec1 = concat"))
    theirs = edited(
        BASE,
        ("  dec1 = concat", "  mud = conv2d(16, 5)\n  dec1 = concat"),
        ("stem = segment, depth, edge, normal", "stem = segment + depth, edge, normal"),
        (
            "enc1 = segment, depth, edge, normal",
            "enc1 = segment + depth, edge, normal\n  enc2 = segment + depth, edge, normal\n  mud = segment + depth, edge, normal",
        ),
    )
    merged = merge(BASE, ours, theirs)
    assert [str(conflict) for conflict in merged.conflicts] == [
        "backbone.mid: both sides change which layers stand here",
        "sharing.mud: goes with backbone.mid",
    ]
    assert taken(merged, 2) == loads(theirs)
    assert set(taken(merged, 1).sharing["mid"]) == {
        frozenset((task,)) for task in ("segment", "depth", "edge", "normal")
    }


def test_a_task_that_one_side_removed_and_the_other_changed_can_be_taken_with_its_sharing() -> None:
    ours = edited(
        BASE,
        ("task depth {\n  target = values(1)\n  head   = conv2d(1, 1) | resize_as(image)\n}\n\n", ""),
        ("segment, depth", "segment"),
        ("segment, depth", "segment"),
    )
    theirs = edited(
        BASE,
        ("target = values(1)\n", "target = values(1)\n  loss   = l1\n"),
        ("stem = segment, depth", "stem = segment + depth"),
    )
    merged = merge(BASE, ours, theirs)
    assert taken(merged, 1) == loads(ours)
    assert taken(merged, 2) == loads(theirs)
    assert "sharing.stem to enc1: goes with task.depth" in map(str, merged.conflicts)


def test_the_order_of_the_tasks_is_that_of_the_side_that_changed_it() -> None:
    normal = "task normal {\n  target = unit_vectors(3)\n  head   = conv2d(3, 1) | resize_as(image)\n}\n\n"
    moved = edited(BASE, (normal, ""), ("task segment", f"# first\n{normal}task segment"))
    other = edited(BASE, ("epochs = 4", "epochs = 5"))
    for merged in (merge(BASE, other, moved), merge(BASE, moved, other)):
        assert merged.conflicts == ()
        assert loads(merged.source.text).sharing.tasks == ("normal", "segment", "depth", "edge")
        assert "# first\ntask normal {" in merged.source.text


def test_tasks_that_both_sides_moved_are_a_conflict_of_which_each_side_can_be_taken() -> None:
    edge = "task edge {\n  target = binary(1)\n  head   = conv2d(1, 1) | resize_as(image)\n}\n\n"
    normal = "task normal {\n  target = unit_vectors(3)\n  head   = conv2d(3, 1) | resize_as(image)\n}\n\n"
    ours = edited(BASE, (normal, ""), ("task segment", f"{normal}task segment"))
    theirs = edited(BASE, (edge, ""), ("task segment", f"{edge}task segment"))
    merged = merge(BASE, ours, theirs)
    assert [conflict.key for conflict in merged.conflicts] == ["tasks"]
    assert taken(merged, 1) == loads(ours)
    assert taken(merged, 2) == loads(theirs)


def test_tasks_that_both_sides_added_stand_in_the_order_of_their_names_whoever_merges() -> None:
    def adding(name: str, target: str, channels: int) -> str:
        task = f"task {name} {{\n  target = {target}\n  head   = conv2d({channels}, 1) | resize_as(image)\n}}\n\n"
        return edited(BASE, ("backbone {", f"{task}backbone {{"), *[("edge, normal", f"edge, normal, {name}")])

    ours, theirs = adding("parts", "classes(5)", 5), adding("itself", "reconstruct", 3)
    ours, theirs = (each.replace("enc1 = segment, depth, edge, normal\n", "") for each in (ours, theirs))
    base = BASE.replace("  enc1 = segment, depth, edge, normal\n", "")
    for merged in (merge(base, ours, theirs), merge(base, theirs, ours)):
        assert merged.conflicts == ()
        assert loads(merged.source.text).sharing.tasks == ("segment", "depth", "edge", "normal", "itself", "parts")


LETTERS = """\
mtl 1

data arrays {
  path  = "letters.npz"
  input = image(1, 32, 32)
}

task [Greek, Latin] {
  target = classes(20, ignore=none)
  head   = adaptive_avg_pool2d(1) | flatten | linear(20)
}

backbone {
  stem = conv2d(8, 3)
}

train {
  epochs = 3
}
"""


def test_a_list_of_tasks_has_the_names_and_keys_that_either_side_added() -> None:
    ours = edited(LETTERS, ("Greek, Latin", "Greek, Latin, Thai"))
    theirs = edited(LETTERS, ("Greek, Latin", "Greek, Latin, Korean"), ("linear(20)\n", "linear(20)\n  weight = 0.5\n"))
    for merged in (merge(LETTERS, ours, theirs), merge(LETTERS, theirs, ours)):
        assert merged.conflicts == ()
        assert "task [Greek, Latin, Korean, Thai] {" in merged.source.text
        assert "  weight = 0.5\n" in merged.source.text


def test_a_comment_in_a_conflict_of_the_sharing_stands_on_its_own_side() -> None:
    base = edited(BASE, ("stem = segment, depth, edge", "stem = segment + depth, edge"))
    ours = edited(base, ("stem = segment + depth", "stem = segment, depth"))
    theirs = edited(base, ("stem = segment + depth, edge, normal", "stem = segment + depth + edge, normal  # theirs"))
    assert block(merge(base, ours, theirs), "sharing").startswith(
        "sharing {\n"
        "<<<<<<< ours\n"
        "  stem = segment, depth, edge, normal\n"
        "=======\n"
        "  stem = segment + depth + edge, normal  # theirs\n"
        ">>>>>>> theirs\n"
    )


def test_what_is_merged_of_formatted_texts_is_formatted() -> None:
    ours = edited(BASE, ("stem = segment, depth", "stem = segment + depth"))
    theirs = edited(BASE, ("  epochs = 4", "  epochs    = 4\n  optimizer = adam"))
    merged = merge(BASE, ours, edited(theirs, ("epochs    = 4", "epochs    = 5")))
    assert format_text(merged.source) == merged.source.text


def test_a_comment_that_goes_to_another_layer_beside_a_new_one_is_a_conflict_from_both_sides() -> None:
    layers = "  dec1 = concat(enc1) | conv2d(8, 3) | batch_norm | relu\n"
    base = edited(BASE, (layers, f"  # c\n  mid = gelu\n{layers}"))
    theirs = edited(BASE, (layers, f"  # c\n{layers}  mid = gelu\n"))
    ours = edited(base, (layers, f"{layers}  late = gelu\n"))
    for merged, mine, other in ((merge(base, ours, theirs), ours, theirs), (merge(base, theirs, ours), theirs, ours)):
        assert taken(merged, 1) == loads(mine)
        assert taken(merged, 2) == loads(other)
        assert [comments(taken(merged, side).source.text) for side in (1, 2)] == [["# c"], ["# c"]]


def test_the_base_can_stand_in_the_markers_too() -> None:
    ours, theirs = edited(BASE, ("epochs = 4", "epochs = 5")), edited(BASE, ("epochs = 4", "epochs = 6"))
    sources = (Source("base", BASE), Source("ours", ours), Source("theirs", theirs))
    merged = merge_specs(*sources, markers=Markers(9, "HEAD", "abc123", "feature"))
    assert block(merged, "train") == (
        "train {\n"
        "<<<<<<<<< HEAD\n"
        "  epochs = 5\n"
        "||||||||| abc123\n"
        "  epochs = 4\n"
        "=========\n"
        "  epochs = 6\n"
        ">>>>>>>>> feature\n"
        "}\n"
    )


def test_a_layer_that_one_side_added_stays_behind_the_one_in_conflict_before_it() -> None:
    ours = BASE.replace("enc1", "first")
    theirs = BASE.replace("enc1", "early")
    dec1 = next(line for line in theirs.splitlines() if line.lstrip().startswith("dec1 = concat"))
    theirs = theirs.replace(dec1, f"{dec1}\n  late = conv2d(8, 3) | relu")
    for merged, side in ((merge(BASE, ours, theirs), 2), (merge(BASE, theirs, ours), 1)):
        layers = list(taken(merged, side).backbone.layers)
        assert layers.index("late") == layers.index("dec1") + 1
