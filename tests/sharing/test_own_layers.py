"""The sharings that a person writes down, and shapes with their tasks in other places."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtsldsl.sharing import Backbone, Cover, Groups, Partition, Sharing
from mtsldsl.sharing.own_layers import own_last, reassigned
from mtsldsl.sharing.row import Row, groups_of
from tests.sharing.strategies import backbones, sharings, sharings_by_source, sharings_in_groups, task_lists


@given(st.data())
def test_the_last_layers_are_own_ones_and_all_others_are_shared(data: st.DataObject) -> None:
    backbone, tasks = data.draw(backbones()), data.draw(task_lists())
    every = [own_last(Sharing.each(backbone, tasks), own) for own in range(len(backbone) + 1)]
    for own, sharing in enumerate(every):
        sizes = [len(sharing.partition(layer)) for layer in backbone.layers]
        assert sizes == [1] * (len(backbone) - own) + [len(tasks)] * own
    assert (every[0], every[-1]) == (Sharing.all(backbone, tasks), Sharing.each(backbone, tasks))
    assert all(finer <= coarser for coarser, finer in pairwise(every))


def test_no_more_layers_are_own_ones_than_there_are() -> None:
    one = Sharing.all(Backbone(("stem",), {}), ("a", "b"))
    for count in (-1, 2):
        with pytest.raises(ValueError, match=f"there are 1 layers, and {count} of them"):
            own_last(one, count)


@given(st.data())
def test_tasks_in_other_places_are_the_same_shape(data: st.DataObject) -> None:
    (sharing,) = data.draw(sharings(1))
    places = dict(zip(sharing.tasks, data.draw(st.permutations(sharing.tasks)), strict=True))
    moved = reassigned(sharing, places)
    assert moved.tasks == sharing.tasks
    for layer in sharing.backbone.layers:
        found, before = moved[layer], sharing[layer]
        assert isinstance(found, Partition)
        assert isinstance(before, Partition)
        assert {frozenset(places[task] for task in component) for component in found} == set(before)
    assert reassigned(moved, {place: task for task, place in places.items()}) == sharing
    assert Sharing(moved.backbone, moved.tasks, moved.components) == moved  # it is a valid one


def helped(row: Row) -> Groups:
    assert not isinstance(row, Cover)
    return groups_of(row)


@given(st.data())
def test_so_it_is_with_tasks_that_help(data: st.DataObject) -> None:
    (sharing,) = data.draw(sharings_in_groups(1))
    first = sharing.backbone.layers[0]
    places = dict(zip(sharing.tasks, data.draw(st.permutations(sharing.tasks)), strict=True))
    before, moved = (helped(each[first]) for each in (sharing, reassigned(sharing, places)))
    assert {(places[one], places[other]) for one, other in moved.helps} == before.helps
    assert {frozenset(places[task] for task in each) for each in moved.served} == set(before.served)


@given(st.data())
def test_tasks_stay_with_their_samples(data: st.DataObject) -> None:
    (sharing,) = data.draw(sharings_by_source(1))
    places = {
        task: place
        for source in sharing.sources
        for task, place in zip(sorted(source), data.draw(st.permutations(sorted(source))), strict=True)
    }
    moved = reassigned(sharing, places)
    assert moved.sources == sharing.sources
    assert moved.given(moved.components) == moved
