"""Tasks that read samples of several sources share weights alone: the rule of what a layer reads holds within a source."""

from __future__ import annotations

from contextlib import suppress
from itertools import combinations, product

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mtsldsl.sharing import Backbone, ConflictError, Cover, Sharing, SharingError, apply, diff, merge3, unmerged
from mtsldsl.sharing.sharing import problems
from tests.laws import law
from tests.sharing.strategies import (
    backbones,
    backbones_of_alternatives,
    groups,
    partitions,
    rows_with_covers,
    sharings_by_source,
    sharings_with_covers,
    task_lists,
)

quick = law(60)
CHAIN = Backbone(("stem", "body"), {"stem": (), "body": ("stem",)})


def owner(partition, task):
    return next(component for component in partition if task in component)


def rule_broken(backbone, components, sources):
    """The pairs of tasks of one source that share a layer and not what it reads, word by word."""
    found = set()
    for layer in backbone.layers:
        if backbone.alternatives(layer) or backbone.below_alternatives(layer):
            continue
        for source in backbone.reads[layer]:
            for samples in sources:
                for one, other in combinations(sorted(samples), 2):
                    together = owner(components[layer], one) == owner(components[layer], other)
                    if together and owner(components[source], one) != owner(components[source], other):
                        found.add((layer, one, other))
    return found


@given(st.data())
@quick
def test_any_components_are_valid_just_where_no_two_tasks_of_a_source_break_the_rule(data):
    backbone, tasks = data.draw(backbones_of_alternatives(4)), data.draw(task_lists(4))
    sources = data.draw(partitions(tasks))
    components = {}
    for layer in backbone.layers:
        names = backbone.alternatives(layer)
        components[layer] = dict.fromkeys(names, tasks) if names else data.draw(partitions(tasks))
    found = problems(backbone, tasks, components, sources)
    broken = rule_broken(backbone, components, sources)
    assert {each.code for each in found} == ({"MTL405"} if broken else set())
    assert {each.layer for each in found} == {layer for layer, _, _ in broken}
    for each in found:  # nobody is told of tasks that read other samples
        assert any(set(each.tasks) <= set(samples) for samples in sources)
        assert len(each.apart) > 1


@given(st.data())
@quick
def test_what_is_valid_for_one_source_is_valid_for_any_finer_ones(data):
    (s,) = data.draw(sharings_with_covers())
    sources = data.draw(partitions(s.tasks))
    finer = Sharing(s.backbone, s.tasks, s.components, sources)
    assert finer.components == s.components
    assert set(finer.sources) == set(map(frozenset, sources))
    assert (finer == s) == (len(sources) == 1)


def test_what_is_shared_across_sources_need_not_read_the_same():
    components = {"stem": [["a"], ["b"]], "body": [["a", "b"]]}
    with pytest.raises(SharingError, match="keeps them apart"):
        Sharing(CHAIN, "ab", components)
    s = Sharing(CHAIN, "ab", components, ["a", "b"])
    assert s.values("body") == s.values("stem") == Sharing.each(CHAIN, "ab")["stem"]


@given(st.data())
@quick
def test_values_are_those_that_one_source_makes_of_the_same_copies_and_of_the_same_reads(data):
    (s,) = data.draw(sharings_by_source())
    assume(len(s.sources) > 1)
    made = {}  # what a task gets of a layer, all the way up to the samples that it reads
    for layer in s.backbone.layers:
        for task in s.tasks:
            own = tuple(sorted(map(str, s.of(layer, task))))
            made[layer, task] = (layer, own, tuple(made[source, task] for source in s.backbone.inputs(layer)))
    for layer in s.backbone.layers:
        sides = {}
        for task in s.tasks:
            sides.setdefault((made[layer, task], owner(s.sources, task)), set()).add(task)
        assert set(s.values(layer)) == set(map(frozenset, sides.values()))
        assert set(s.values(layer)) == set(s.all_values()[layer])
        for value in s.values(layer):
            assert any(value <= samples for samples in s.sources)
            if not isinstance(s[layer], Cover):
                assert any(value <= component for component in s.partition(layer))
            for source in s.backbone.inputs(layer):
                assert any(value <= other for other in s.values(source))


@given(st.data())
@quick
def test_a_task_that_weighs_alternatives_has_a_value_of_its_own(data):
    reads = {"mix": ("stem",), "body": ("mix",)}
    backbone = Backbone(("stem", "mix", "body"), reads, {"mix": ("one", "two")}, ("mix",))
    (s,) = data.draw(sharings_by_source(backbone=backbone))
    for layer in ("mix", "body"):
        for value in s.values(layer):
            assert len(value) == 1 or all(len(s.of("mix", task)) < 2 for task in value)


@given(st.data())
@quick
def test_every_step_keeps_the_sources(data):
    one, two, three = data.draw(sharings_by_source(3))
    assume(len(one.sources) > 1)
    found = [
        one.join(two),
        one.meet(two),
        one.apart(),
        one.united(),
        one.given(two.components),
        apply(one, diff(one, two)),
    ]
    for layer, tasks in data.draw(st.lists(groups(one), max_size=6)):
        for step in (one.merge, one.split):
            try:
                found.append(step(layer, tasks))
            except SharingError:
                continue
    with suppress(ConflictError):
        found.append(merge3(one, two, three))
    for each in found:
        assert each.sources == one.sources
        assert Sharing(each.backbone, each.tasks, each.components, each.sources) == each
    assert apply(one, diff(one, two)) == two


def every_sharing(sources):
    """All valid sharings of a chain of two layers, of three tasks."""
    rows = [[["a"], ["b"], ["c"]], [["a", "b"], ["c"]], [["a", "c"], ["b"]], [["a"], ["b", "c"]], [["a", "b", "c"]]]
    for stem, body in product(rows, rows):
        if not problems(CHAIN, "abc", {"stem": stem, "body": body}, sources):
            yield Sharing(CHAIN, "abc", {"stem": stem, "body": body}, sources)


@pytest.mark.parametrize("sources", [["abc"], ["ab", "c"], ["ac", "b"], ["a", "b", "c"]], ids="/".join)
def test_a_join_is_the_least_that_both_refine_and_a_meet_the_greatest_that_refines_both(sources):
    every = list(every_sharing(sources))
    for one, two in combinations(every, 2):
        join, meet = one.join(two), one.meet(two)
        assert join in every
        assert meet in every
        assert all(join <= other for other in every if one <= other and two <= other)
        assert all(other <= meet for other in every if other <= one and other <= two)
        assert one <= join
        assert two <= join
        assert meet <= one
        assert meet <= two


@given(st.data())
@quick
def test_a_merge_and_a_split_are_refused_just_where_the_result_is_not_valid(data):
    (s,) = data.draw(sharings_by_source(most=5))
    plain = [layer for layer in s.backbone.layers if not s.backbone.alternatives(layer)]
    assume(plain)
    layer = data.draw(st.sampled_from(plain))
    inside = data.draw(st.lists(st.sampled_from(list(s[layer])), min_size=2, unique=True)) if len(s[layer]) > 1 else []
    assume(inside)
    tasks = frozenset().union(*inside)
    rest = [component for component in s[layer] if not component <= tasks]
    wrong = problems(s.backbone, s.tasks, {**s.components, layer: [*rest, tasks]}, s.sources)
    if any(each.layer == layer for each in wrong):
        with pytest.raises(SharingError):
            s.merge(layer, tasks)
    else:
        merged = s.merge(layer, tasks)
        assert tasks in merged[layer]
        parts = [merged.split(layer, inside[0])] if not wrong else []
        assert all(inside[0] in part[layer] for part in parts)


@given(st.data())
@quick
def test_tasks_under_other_names_and_in_another_order_read_the_same_samples(data):
    (s,) = data.draw(sharings_by_source())
    assume(len(s.sources) > 1)
    names = {task: f"{task}_2" for task in s.tasks[::2]}
    renamed = s.renamed(names)
    assert set(renamed.sources) == {frozenset(names.get(task, task) for task in each) for each in s.sources}
    assert renamed.renamed({new: old for old, new in names.items()}) == s
    order = data.draw(st.permutations(s.tasks))
    other = s.reordered(order)
    assert set(other.sources) == set(s.sources)
    firsts = [min(map(order.index, each)) for each in other.sources]
    assert firsts == sorted(firsts)
    assert other.reordered(s.tasks) == s


@given(st.data())
@quick
def test_sharings_of_other_samples_are_not_compared(data):
    (s,) = data.draw(sharings_by_source())
    sources = data.draw(partitions(s.tasks))
    assume(set(map(frozenset, sources)) != set(s.sources))
    assume(not problems(s.backbone, s.tasks, s.components, sources))
    other = Sharing(s.backbone, s.tasks, s.components, sources)
    assert other != s
    for act in (s.join, s.meet, s.__le__, lambda one: diff(s, one), lambda one: merge3(s, s, one)):
        with pytest.raises(ValueError, match="read different samples"):
            act(other)


@pytest.mark.parametrize("sources", [["a"], ["a", "bc"], ["ab", "b"], ["ab", ""], []])
def test_sources_that_do_not_part_the_tasks_are_refused(sources):
    with pytest.raises(ValueError, match="do not part the tasks"):
        Sharing.all(CHAIN, "ab", sources)


@given(st.data())
@quick
def test_what_merges_next_is_a_merge_that_can_be_made(data):
    backbone = data.draw(backbones())
    (s,) = data.draw(sharings_by_source(backbone=backbone))
    candidates = list(unmerged(s))
    assume(candidates)
    for layer, tasks in candidates:
        assert tasks in s.merge(layer, tasks)[layer]


@given(st.data())
@quick
def test_one_source_is_what_there_is_by_default(data):
    backbone, tasks = data.draw(backbones_of_alternatives()), data.draw(task_lists())
    s = data.draw(rows_with_covers(backbone, tasks))
    assert s == Sharing(backbone, tasks, s.components, [tasks])
    assert list(s.sources) == [frozenset(tasks)]
