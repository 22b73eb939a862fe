"""The three-way merge of specs, by example: keys, comments, history, the sharing of layers."""

from __future__ import annotations

import pytest

from mtsldsl.diagnostics import MtlError
from mtsldsl.editing import loads
from tests.compare.merging import BASE, block, comments, edited, merge, taken
from tests.ir.specs import text


def test_merges_of_one_layer_are_joined() -> None:
    ours = edited(BASE, ("stem = segment, depth", "stem = segment + depth"))
    theirs = edited(BASE, ("stem = segment, depth, edge, normal", "stem = segment, depth + edge, normal  # alike"))
    merged = merge(BASE, ours, theirs)
    assert merged.conflicts == ()
    assert block(merged, "sharing").splitlines()[1] == "  stem = segment + depth + edge, normal  # alike"


def test_a_layer_that_one_side_split_and_the_other_merged_is_a_conflict_on_its_line() -> None:
    base = edited(BASE, ("stem = segment, depth, edge", "stem = segment + depth, edge"))
    ours = edited(base, ("stem = segment + depth", "stem = segment, depth"), ("epochs = 4", "epochs = 5"))
    theirs = edited(base, ("stem = segment + depth, edge", "stem = segment + depth + edge"))
    merged = merge(base, ours, theirs)
    assert [str(conflict) for conflict in merged.conflicts] == ["sharing.stem: one side split what the other merged"]
    assert block(merged, "sharing") == (
        "sharing {\n"
        "<<<<<<< ours\n"
        "  stem = segment, depth, edge, normal\n"
        "=======\n"
        "  stem = segment + depth + edge, normal\n"
        ">>>>>>> theirs\n"
        "  enc1 = segment, depth, edge, normal\n"
        "}\n"
    )


def test_a_conflict_inside_a_range_takes_the_range_apart() -> None:
    base = text("sharing {\n  stem..enc1 = all  # the encoder\n}\n")
    ours = edited(base, ("stem..enc1 = all", "stem = all\n  enc1 = segment + depth, edge + normal"))
    theirs = edited(base, ("stem..enc1 = all", "stem..enc2 = all"))
    merged = merge(base, theirs, ours)
    assert [conflict.key for conflict in merged.conflicts] == ["sharing.enc1", "sharing.enc2"]
    assert merged.conflicts[0].reason == "goes with sharing.enc2, which reads it"
    assert block(merged, "sharing") == (
        "sharing {\n"
        "  stem       = segment + depth + edge + normal\n"
        "<<<<<<< ours\n"
        "  enc1       = segment + depth + edge + normal\n"
        "=======\n"
        "  enc1       = segment + depth, edge + normal  # the encoder\n"
        ">>>>>>> theirs\n"
        "<<<<<<< ours\n"
        "  enc2       = segment + depth + edge + normal\n"
        "=======\n"
        "  enc2       = segment, depth, edge, normal\n"
        ">>>>>>> theirs\n"
        "}\n"
    )


def test_a_merge_that_would_share_what_an_earlier_layer_keeps_apart_is_a_conflict() -> None:
    base = text("sharing {\n  stem = all\n}\n")
    ours = edited(base, ("stem = all", "stem = segment, depth, edge + normal"))
    theirs = edited(base, ("stem = all\n", "stem = all\n  enc1 = segment + depth, edge, normal\n"))
    merged = merge(base, ours, theirs)
    assert [conflict.key for conflict in merged.conflicts] == ["sharing.stem", "sharing.enc1"]
    assert "reads `stem`, which keeps them apart" in merged.conflicts[1].reason
    assert block(merged, "sharing") == (
        "sharing {\n"
        "<<<<<<< ours\n"
        "  stem = segment, depth, edge + normal\n"
        "=======\n"
        "  stem = segment + depth + edge + normal\n"
        ">>>>>>> theirs\n"
        "<<<<<<< ours\n"
        "  enc1 = segment, depth, edge, normal\n"
        "=======\n"
        "  enc1 = segment + depth, edge, normal\n"
        ">>>>>>> theirs\n"
        "}\n"
    )


def test_a_setting_that_both_changed_is_a_conflict_on_its_line_and_all_else_is_merged() -> None:
    ours = edited(BASE, ("epochs = 4", "epochs = 5  # ours\n  seed = 1"))
    theirs = edited(BASE, ("epochs = 4", "epochs = 6  # theirs\n  precision = bf16"))
    merged = merge(BASE, ours, theirs)
    assert [str(conflict) for conflict in merged.conflicts] == [
        "train.epochs: `4` became `5` in ours and `6` in theirs"
    ]
    assert block(merged, "train") == (
        "train {\n"
        "<<<<<<< ours\n"
        "  epochs = 5  # ours\n"
        "=======\n"
        "  epochs = 6  # theirs\n"
        ">>>>>>> theirs\n"
        "  seed = 1\n"
        "  precision = bf16\n"
        "}\n"
    )


def test_a_setting_that_one_side_removed_and_the_other_changed_is_a_conflict() -> None:
    base = edited(BASE, ("epochs = 4", "epochs = 4\n  balance = dwa"))
    ours, theirs = edited(base, ("  balance = dwa\n", "")), edited(base, ("= dwa", "= mgda"))
    merged = merge(base, ours, theirs)
    assert [str(conflict) for conflict in merged.conflicts] == ["train.balance: ours removes what theirs changes"]
    assert "  epochs = 4\n<<<<<<< ours\n=======\n  balance = mgda\n>>>>>>> theirs\n}" in merged.source.text
    other = merge(base, theirs, ours)
    assert "  epochs = 4\n<<<<<<< ours\n  balance = mgda\n=======\n>>>>>>> theirs\n}" in other.source.text


@pytest.mark.parametrize(
    ("seeds", "merged_seed"),
    [
        (("0", "1", "2"), "0"),
        ((None, "1", "2"), None),
        (("0", None, "2"), None),
        (("0", "1", None), None),
        (("0", "0", "2"), "2"),
        (("0", "1", "0"), "1"),
        (("0", "1", "1"), "1"),
    ],
)
def test_the_seeds_of_two_runs_are_no_conflict(seeds: tuple[str | None, ...], merged_seed: str | None) -> None:
    base, ours, theirs = (
        edited(BASE, ("epochs = 4", "epochs = 4" if seed is None else f"epochs = 4\n  seed = {seed}  # of this run"))
        for seed in seeds
    )
    theirs = edited(theirs, ("stem = segment, depth", "stem = segment + depth"))
    merged = merge(base, ours, theirs)
    assert merged.conflicts == ()
    assert block(merged, "sharing").startswith("sharing {\n  stem = segment + depth, edge, normal\n")
    found = [line.split("#")[0].strip() for line in block(merged, "train").splitlines() if "seed = " in line]
    assert found == ([] if merged_seed is None else [f"seed = {merged_seed}"])
    assert any("say how each run was made" in note for note in merged.notes) == (len(set(seeds)) == 3)


def test_the_places_of_the_data_of_two_runs_are_no_conflict_and_the_seeds_of_their_splits_are_one() -> None:
    data = '{ root = "here"\n  input = image(3, 32, 32) }'
    base = edited(BASE, ("data scenes {\n  input = image(3, 32, 32)\n}", f"data nyuv2 {data}"))
    ours, theirs = edited(base, ('"here"', '"/a"')), edited(base, ('"here"', '"/b"'))
    merged = merge(base, ours, theirs)
    assert (merged.conflicts, merged.source.text) == ((), base)
    assert merged.notes == (
        'data.root is `"here"`, as before: `"/a"` in ours and `"/b"` in theirs say how each run was made',
    )
    seeds = [edited(base, ("32, 32) }", f"32, 32)\n  seed = {seed} }}")) for seed in (1, 2)]
    assert [conflict.key for conflict in merge(base, *seeds).conflicts] == ["data.seed"]


def decision(epoch: int, tasks: str, similarity: float) -> str:
    return f"merge(epoch={epoch}, layer=stem, tasks={tasks}, similarity={similarity})"


@pytest.mark.parametrize(
    ("ours", "theirs", "kept"),
    [
        ((2, "segment + depth", 0.9), (2, "segment + depth", 0.8), [(2, "segment + depth", 0.9)]),
        ((2, "segment + depth", 0.8), (2, "segment + depth", 0.9), [(2, "segment + depth", 0.9)]),
        ((3, "segment + depth", 0.9), (2, "depth + segment", 0.8), [(2, "depth + segment", 0.8)]),
        (
            (2, "segment + depth", 0.9),
            (2, "segment + edge", 0.9),
            [(2, "segment + depth", 0.9), (2, "segment + edge", 0.9)],
        ),
    ],
)
def test_a_decision_that_both_runs_made_is_there_once(
    ours: tuple[int, str, float], theirs: tuple[int, str, float], kept: list[tuple[int, str, float]]
) -> None:
    first = f"  {decision(1, 'edge + normal', 0.5)}\n"
    base = f"{BASE}\nhistory {{\n{first}}}\n"
    sides = [base.replace(first, f"{first}  {decision(*each)}  # why\n") for each in (ours, theirs)]
    for one, other in (sides, reversed(sides)):
        lines = block(merge(base, one, other), "history").splitlines()
        assert sorted(line.split("#")[0].strip() for line in lines[2:-1] if "merge" in line) == sorted(
            decision(*each) for each in kept
        )


def test_a_decision_that_a_side_made_twice_stays_twice() -> None:
    lines = "".join(f"  {decision(epoch, 'segment + depth', 0.5)}\n" for epoch in (1, 3))
    ours = f"{BASE}\nhistory {{\n{lines}}}\n"
    theirs = f"{BASE}\nhistory {{\n  {decision(2, 'segment + depth', 0.5)}\n}}\n"
    assert [each.epoch for each in loads(merge(BASE, ours, theirs).source.text).history] == [1, 3]


def test_a_task_that_one_side_added_shares_what_that_side_says() -> None:
    task = "# autoencoder\ntask itself {\n  target = reconstruct  # the image\n  head   = conv2d(3, 1) | resize_as(image)\n}\n"
    ours = edited(BASE, ("stem = segment, depth", "stem = segment + depth"))
    theirs = edited(
        BASE,
        ("backbone {", f"{task}\nbackbone {{"),
        ("stem = segment,", "stem = segment + itself,"),
        ("enc1 = segment, depth, edge, normal", "enc1 = segment, depth, edge, normal, itself"),
    )
    merged = merge(BASE, ours, theirs)
    assert f"\n\n{task}\n" in merged.source.text
    assert block(merged, "sharing") == (
        "sharing {\n  stem = segment + depth + itself, edge, normal\n  enc1 = segment, depth, edge, normal, itself\n}\n"
    )


def test_a_task_that_one_side_removed_is_gone_from_the_sharing_and_the_history_of_the_other() -> None:
    theirs = edited(
        BASE,
        ("task edge {\n  target = binary(1)\n  head   = conv2d(1, 1) | resize_as(image)\n}\n\n", ""),
        ("stem = segment, depth, edge,", "stem = segment, depth,"),
        ("enc1 = segment, depth, edge,", "enc1 = segment, depth,"),
    )
    line = "merge(epoch=1, layer=stem, tasks=edge + normal, similarity=0.5)"
    ours = edited(BASE, ("stem = segment, depth, edge, normal", "stem = segment, depth, edge + normal"))
    merged = merge(BASE, f"{ours}\nhistory {{\n  {line}\n}}\n", theirs)
    assert merged.conflicts == ()
    assert merged.notes == (
        "left out of the sharing, for task `edge` is gone: `stem = segment, depth, edge + normal` of ours",
        f"left out of the history, for it names a layer, task or alternative that is gone: {line}",
    )
    assert "history" not in merged.source.text
    spec = loads(merged.source.text)
    assert "edge" not in spec.sharing.tasks
    assert spec.history == ()


def test_a_layer_that_one_side_added_is_read_by_the_next_and_shared_as_that_side_says() -> None:
    ours = edited(BASE, ("stem = segment, depth", "stem = segment + depth"))
    theirs = edited(
        BASE,
        ("  dec1 = concat", "  # deeper\n  enc3 = conv2d(16, 3) | relu  # new\n  dec1 = concat"),
    )
    merged = merge(BASE, ours, theirs)
    assert "\n  # deeper\n  enc3 = conv2d(16, 3) | relu  # new\n  dec1 = concat" in merged.source.text
    assert loads(merged.source.text).backbone.inputs("dec1") == ("enc3", "enc1")


def test_layers_that_both_sides_added_in_one_place_are_a_conflict() -> None:
    ours = edited(BASE, ("  dec1 = concat", "  enc3 = gelu\n  dec1 = concat"))
    theirs = edited(BASE, ("  dec1 = concat", "  mid = relu  # between\n  dec1 = concat"))
    merged = merge(BASE, ours, theirs)
    assert [conflict.key for conflict in merged.conflicts] == ["backbone.enc3"]
    assert (
        "<<<<<<< ours\n  enc3 = gelu\n=======\n  mid = relu  # between\n>>>>>>> theirs\n  dec1 = " in merged.source.text
    )


def test_the_same_layer_added_by_both_is_there_once() -> None:
    both = edited(BASE, ("  dec1 = concat", "  enc3 = gelu\n  dec1 = concat"))
    merged = merge(BASE, f"# ours\n{both}", f"{both}# theirs\n")
    assert merged.conflicts == ()
    assert merged.source.text == f"# ours\n{both}# theirs\n"


def test_a_layer_that_one_side_moved_keeps_what_the_other_says_of_it() -> None:
    base = edited(BASE, ("  dec2 = ", "  side = enc1 | conv2d(8, 1)\n  last = enc2 | conv2d(8, 1)\n  dec2 = dec1 | "))
    moved = edited(
        base, ("  side = enc1 | conv2d(8, 1)\n", ""), ("  dec1 = ", "  side = enc1 | conv2d(8, 1)\n  dec1 = enc2 | ")
    )
    ours = edited(base, ("side = enc1 | conv2d(8, 1)", "side = enc1 | conv2d(8, 3)  # wider"))
    merged = merge(base, ours, moved)
    assert merged.conflicts == ()
    spec = loads(merged.source.text)
    assert spec.backbone.layers == loads(moved).backbone.layers
    assert spec.layer("side").body == loads(ours).layer("side").body
    assert "# wider" in merged.source.text


def test_the_histories_of_both_sides_come_in_the_order_of_their_epochs_and_each_line_once() -> None:
    def line(epoch: int, layer: str) -> str:
        return f"merge(epoch={epoch}, layer={layer}, tasks=segment + depth, similarity=0.5)"

    base = f"{BASE}\nhistory {{\n  {line(1, 'stem')}  # first\n}}\n"
    ours = edited(base, ("# first\n", f"# first\n  {line(3, 'enc1')}\n"))
    theirs = edited(base, ("# first\n", f"# first\n  # then\n  {line(2, 'enc2')}\n  {line(3, 'enc1')}\n"))
    assert block(merge(base, ours, theirs), "history") == (
        f"history {{\n  {line(1, 'stem')}  # first\n  # then\n  {line(2, 'enc2')}\n  {line(3, 'enc1')}\n}}\n"
    )


def test_a_comment_that_one_side_reworded_is_there_once() -> None:
    base = edited(BASE, ("epochs = 4", "epochs = 4  # enough"))
    ours = edited(base, ("enc1 = segment, depth", "enc1 = segment, depth"), ("mtl 1\n", "mtl 1\n\n# more\n"))
    theirs = edited(base, ("# enough", "# plenty"))
    merged = merge(base, ours, theirs)
    assert comments(merged.source.text) == ["# more", "# plenty"]


def test_comments_of_both_sides_above_one_line_are_kept_in_order() -> None:
    base = edited(BASE, ("  epochs", "  # one\n  # two\n  epochs"))
    ours = edited(base, ("# one", "# zero\n  # one"))
    theirs = edited(base, ("# two", "# one and a half\n  # two\n  # three"))
    assert comments(merge(base, ours, theirs).source.text) == [
        "# zero",
        "# one",
        "# one and a half",
        "# two",
        "# three",
    ]


def test_a_comment_inside_a_value_that_the_other_side_changed_moves_above_its_line() -> None:
    base = edited(BASE, ("epochs = 4", "epochs = 4\n  optimizer = adam(\n    lr=0.1)"))
    ours = edited(base, ("lr=0.1)", "lr=0.1  # high\n  )"))
    theirs = edited(base, ("lr=0.1)", "lr=0.2)  # higher"))
    assert block(merge(base, ours, theirs), "train") == (
        "train {\n  epochs = 4\n  # high\n  optimizer = adam(\n    lr=0.2)  # higher\n}\n"
    )


def test_blocks_on_one_line_get_lines_where_they_need_them() -> None:
    base = BASE[: BASE.index("train {")] + "train { epochs = 4 }\n\nsharing { stem = segment, depth, edge, normal }\n"
    ours = edited(base, ("stem = segment, depth", "stem = segment + depth"))
    theirs = edited(
        base, ("epochs = 4", "epochs = 5  # more\n"), ("stem = segment, depth, edge, normal", "enc1 = each")
    )
    merged = merge(base, ours, theirs)
    assert merged.conflicts == ()
    assert merged.source.text.endswith(
        "train {\n  epochs = 5  # more\n}\n\nsharing {\n  stem = segment + depth, edge, normal\n}\n"
    )


def test_a_block_that_only_the_other_side_has_comes_with_its_comments() -> None:
    structure = "# how it grows\nstructure mtsl {  # slowly\n  phases = [2]  # once\n  # the end\n}\n"
    theirs = f"{BASE}\n{structure}"
    merged = merge(BASE, edited(BASE, ("epochs = 4", "epochs = 5")), theirs)
    assert merged.source.text == edited(theirs, ("epochs = 4", "epochs = 5"))


def test_a_block_whose_label_changed_keeps_the_changes_of_its_keys() -> None:
    base = f"{BASE}\nstructure mtsl {{\n  phases = [2]\n}}\n"
    ours, theirs = edited(base, ("[2]", "[2, 3]")), edited(base, ("structure mtsl", "structure none"))
    assert merge(base, ours, theirs).source.text == edited(ours, ("structure mtsl", "structure none"))


def test_where_the_changes_fit_but_the_whole_is_no_sound_spec_each_side_stands_by_itself() -> None:
    ours = edited(BASE, ("conv2d(5, 1) | resize_as(image)", "dec1 | conv2d(5, 1) | resize_as(image)"))
    theirs = edited(BASE, ("  dec1 = concat(enc1) | conv2d(8, 3) | batch_norm | relu\n", ""))
    merged = merge(BASE, ours, theirs)
    assert [conflict.key for conflict in merged.conflicts] == ["task.segment.head", "backbone.stem"]
    assert all("does not fit together: `dec1`" in conflict.reason for conflict in merged.conflicts)
    assert taken(merged, 1) == loads(ours)
    assert taken(merged, 2) == loads(theirs)


def test_a_side_that_is_no_sound_spec_is_reported_as_its_own() -> None:
    with pytest.raises(MtlError) as caught:
        merge(BASE, BASE, edited(BASE, ("epochs", "epoch")))
    assert {diagnostic.span.source.name for diagnostic in caught.value.diagnostics if diagnostic.span} == {"theirs"}
