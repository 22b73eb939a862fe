"""Which layer became which: renamed, swapped and changed layers by law and by example."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mtsldsl.compare.spec_difference import SpecDifference, compare
from mtsldsl.editing import loads
from mtsldsl.ir import Spec

NAMES = ("stem", "enc1", "enc2", "mid", "dec1", "dec2")
BODIES = (  # no two are alike; each has one argument to change, and may read what came before
    "conv2d({}, 3, stride=2) | batch_norm | relu",
    "group_norm({}) | gelu | conv2d(24, 1)",
    "max_pool2d({}, stride=1) | silu",
    "dropout({}) | softplus",
    "resize_as({0}) | concat({0}) | conv2d({1}, 1) | tanh",
    "leaky_relu({}) | avg_pool2d(3, stride=1)",
)
ARGUMENTS = (("8", "16"), ("1", "2"), ("3", "5"), ("0.25", "0.5"), ("12", "20"), ("0.1", "0.2"))
HEAD = "task {0} {{\n  target = values(1)\n  head = resize_as({1}) | conv2d(1, 1) | resize_as(image)\n}}\n"


@attrs.frozen
class Net:
    """A network: the name of each body, and which of its two arguments each has."""

    names: tuple[str, ...] = NAMES
    chosen: tuple[int, ...] = (0,) * len(NAMES)

    def spec(self) -> Spec:
        """The specification."""
        lines = ["mtl 1", "", "data scenes {", "  input = image(3, 16, 16)", "}", ""]
        lines += [HEAD.format(task, self.names[0]) for task in ("depth", "edge")]
        lines.append("backbone {")
        for index, (name, body) in enumerate(zip(self.names, BODIES, strict=True)):
            argument = ARGUMENTS[index][self.chosen[index]]
            lines.append(
                f"  {name} = {body.format(self.names[1], argument) if '{1}' in body else body.format(argument)}"
            )
        return loads("\n".join([*lines, "}", "", "train {", "  epochs = 1", "}", ""]))


quickly = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
other_names = st.permutations((*NAMES, "one", "two", "three")).map(lambda names: tuple(names[: len(NAMES)]))
choices = st.tuples(*(st.integers(0, 1) for _ in NAMES))


def never_told_twice(found: SpecDifference, before: Sequence[str], after: Sequence[str]) -> None:
    """Every layer of both is the same, renamed, or alone in its spec: one of the three."""
    old, new = ([pair[side] for pair in found.layers_renamed] for side in (0, 1))
    assert len(set(new)) == len(new)
    assert not set(old) & set(found.layers_removed)
    assert not set(new) & set(found.layers_added)
    kept = [name for name in before if name not in (*old, *found.layers_removed)]
    assert sorted(kept) == sorted(name for name in after if name not in (*new, *found.layers_added))


@quickly
@given(other_names, choices)
def test_layers_that_were_renamed_and_changed_at_once_are_recognised(
    names: tuple[str, ...], chosen: tuple[int, ...]
) -> None:
    net = Net(names, chosen)
    found = compare(Net().spec(), net.spec())
    assert dict(found.layers_renamed) == {old: new for old, new in zip(NAMES, names, strict=True) if old != new}
    assert (found.layers_removed, found.layers_added, found.reordered) == ((), (), ())
    assert {name for name, choice in zip(NAMES, chosen, strict=True) if choice} <= set(found.layers_changed)
    never_told_twice(found, NAMES, names)
    back = compare(net.spec(), Net().spec())
    assert {(new, old) for old, new in back.layers_renamed} == set(found.layers_renamed)


@quickly
@given(other_names)
def test_names_alone_change_nothing_else(names: tuple[str, ...]) -> None:
    found = compare(Net().spec(), Net(names).spec())
    assert dict(found.layers_renamed) == {old: new for old, new in zip(NAMES, names, strict=True) if old != new}
    assert (found.keys, found.sharing, found.sharing_of_one, found.reordered) == ((), (), (), ())


BRICKS = ("conv2d(8, 3)", "conv2d(8, 3) | relu", "conv2d(16, 3) | relu", "dropout(0.1)")


@st.composite
def towers(draw: st.DrawFn) -> Spec:
    """Any network of few kinds of layers, many of them alike."""
    names = draw(st.lists(st.sampled_from((*NAMES, "one", "two")), min_size=1, max_size=6, unique=True))
    lines = "".join(f"  {name} = {draw(st.sampled_from(BRICKS))}\n" for name in names)
    tasks = "".join(HEAD.format(task, names[0]) for task in ("depth", "edge"))
    data, train = "data scenes {\n  input = image(3, 16, 16)\n}\n", "train {\n  epochs = 1\n}\n"
    return loads(f"mtl 1\n{data}{tasks}backbone {{\n{lines}}}\n{train}")


@quickly
@given(towers(), towers())
def test_no_layer_is_told_twice_and_nothing_is_told_of_equal_specs(before: Spec, after: Spec) -> None:
    never_told_twice(compare(before, after), before.backbone.layers, after.backbone.layers)
    assert not compare(before, before)
    assert bool(compare(before, after)) == (before != after)


def tower(*lines: str) -> Spec:
    data, train = "data scenes {\n  input = image(3, 16, 16)\n}\n", "train {\n  epochs = 1\n}\n"
    tasks = "".join(HEAD.format(task, lines[0].split()[0]) for task in ("depth", "edge"))
    return loads(f"mtl 1\n{data}{tasks}backbone {{\n{''.join(f'  {line}' + chr(10) for line in lines)}}}\n{train}")


STEM, BLOCK = "stem = conv2d(24, 3)", "conv2d(24, 3) | batch_norm | relu"


def test_a_name_that_two_layers_swapped_is_two_renames() -> None:
    before = tower(STEM, f"enc1 = {BLOCK}", f"enc2 = {BLOCK}", "dec = concat(enc1) | conv2d(8, 1)")
    after = tower(STEM, f"enc2 = {BLOCK}", f"enc1 = {BLOCK}", "dec = concat(enc2) | conv2d(8, 1)")
    found = compare(before, after)
    assert found.layers_renamed == (("enc1", "enc2"), ("enc2", "enc1"))
    assert (found.keys, found.reordered) == ((), ())


def test_a_layer_that_was_moved_keeps_its_name() -> None:
    before = tower(STEM, f"enc1 = {BLOCK}", "enc2 = conv2d(48, 5) | silu", "dec = concat(stem) | conv2d(8, 1)")
    after = tower(STEM, "enc2 = conv2d(48, 5) | silu", f"enc1 = {BLOCK}", "dec = concat(stem) | conv2d(8, 1)")
    found = compare(before, after)
    assert found.layers_renamed == ()
    assert found.reordered == ("layers",)


def test_a_layer_that_was_put_between_others_of_its_kind_renames_none() -> None:
    before = tower(STEM, f"b1 = {BLOCK}", f"b2 = {BLOCK}", "dec = concat(b1) | conv2d(8, 1)")
    after = tower(STEM, f"b1 = {BLOCK}", f"bx = {BLOCK}", f"b2 = {BLOCK}", "dec = concat(bx) | conv2d(8, 1)")
    found = compare(before, after)
    assert found.layers_renamed == ()
    assert found.layers_added == ("bx",)


def test_what_reads_a_renamed_layer_is_changed_only_where_it_computes_something_else() -> None:
    before = tower(STEM, f"enc1 = {BLOCK}", "enc2 = conv2d(8, 3)", "dec = concat(enc1) | conv2d(8, 1)")
    after = tower(
        STEM, f"stage1 = {BLOCK.replace('24', '28')}", "enc2 = conv2d(8, 3)", "dec = concat(stage1) | conv2d(8, 1)"
    )
    found = compare(before, after)
    assert found.layers_renamed == (("enc1", "stage1"),)
    assert [(each.key, each.before, each.after) for each in found.keys] == [
        ("backbone.enc1", BLOCK, BLOCK.replace("24", "28")),
        ("backbone.enc2", "1,736 parameters", "2,024 parameters"),
        ("backbone.dec", "264 parameters", "296 parameters"),
    ]


def test_a_layer_in_the_place_of_a_quite_different_one_is_no_renamed_one() -> None:
    found = compare(tower(STEM, f"enc1 = {BLOCK}"), tower(STEM, "pool = max_pool2d(3, stride=1) | gelu"))
    assert (found.layers_removed, found.layers_added, found.layers_renamed) == (("enc1",), ("pool",), ())
