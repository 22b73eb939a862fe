"""Where what is shared is split: laws over any sharing and any cosines, and small cases by hand."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mtsldsl.methods.split.cutting import Cut, decide_cuts
from mtsldsl.sharing import Backbone, Sharing
from tests.laws import law
from tests.sharing.strategies import sharings

NONE = float("nan")


@st.composite
def measured(draw, sharing):
    """Cosines of every layer in two epochs, symmetric, some of them unknown."""
    count = len(sharing.tasks)
    found = {}
    for layer in sharing.backbone.layers:
        values = np.full((2, count, count), np.nan)
        for epoch, one in np.ndindex(2, count):
            for other in range(one):
                value = draw(st.sampled_from([-0.5, -0.1, 0.1, 0.5, NONE]))
                values[epoch, one, other] = values[epoch, other, one] = value
        found[layer] = values
    return found


@st.composite
def cases(draw):
    (sharing,) = draw(sharings(most=5))
    weightless = draw(st.sets(st.sampled_from(sharing.backbone.layers)))
    return sharing, draw(measured(sharing)), weightless, draw(st.sampled_from([-0.2, 0.0, 0.3]))


@law(90)
@given(cases())
def test_the_splits_lead_to_a_sharing_that_refines_and_each_conflicted_in_every_epoch(case):
    sharing, cosines, weightless, threshold = case
    found = decide_cuts(sharing, cosines, threshold, weightless=weightless)
    after, place = sharing, sharing.tasks.index
    for cut in found.made:
        before = after
        others = before.component(cut.layer, min(cut.tasks)) - cut.tasks
        after = before.split(cut.layer, cut.tasks)
        assert after < before
        pairs = [(place(one), place(other)) for one in cut.tasks for other in others]
        for epoch in [] if cut.layer in weightless else cosines[cut.layer]:
            known = [epoch[pair] for pair in pairs if not np.isnan(epoch[pair])]
            assert known
            assert sum(known) / len(known) < threshold
    assert after == found.sharing


@law(60)
@given(cases(), st.integers(0, 6))
def test_no_network_is_larger_than_what_is_affordable(case, more):
    sharing, cosines, weightless, threshold = case

    def copies(of):
        return sum(len(of[layer]) for layer in of.backbone.layers if layer not in weightless)

    most = copies(sharing) + more
    bounded = decide_cuts(
        sharing, cosines, threshold, weightless=weightless, affordable=lambda after: copies(after) <= most
    )
    free = decide_cuts(sharing, cosines, threshold, weightless=weightless)
    assert copies(bounded.sharing) <= most
    assert bool(bounded.beyond) or bounded.sharing == free.sharing


def matrix(**pairs):
    """(1, 4, 4) cosines of a, b, c, d: 0.5 but for the pairs that are given."""
    values = np.full((1, 4, 4), 0.5)
    for (one, other), value in pairs.items():
        i, j = "abcd".index(one), "abcd".index(other)
        values[0, i, j] = values[0, j, i] = value
    return values


PAIRS = {"ac": -0.5, "ad": -0.5, "bc": -0.5, "bd": -0.5}


def chain(*layers):
    reads = {layer: [source] for source, layer in pairwise(layers)}
    return Sharing.all(Backbone(layers, reads), "abcd")


def test_two_pairs_that_conflict_part_from_the_heads_to_the_input():
    made = decide_cuts(chain("stem", "last"), {"stem": matrix(**PAIRS), "last": matrix(**PAIRS)}, 0.0).made
    assert made == (Cut("last", frozenset("cd"), -0.5), Cut("stem", frozenset("cd"), -0.5))


def test_one_task_that_all_others_conflict_with_leaves_alone():
    made = decide_cuts(chain("stem"), {"stem": matrix(ab=-0.1, ac=-0.1, ad=-0.1)}, 0.0).made
    assert [(sorted(cut.tasks), round(cut.cosine, 9)) for cut in made] == [(["b", "c", "d"], -0.1)]


def test_what_one_layer_needs_another_below_it_can_keep_from_it():
    cosines = {"stem": matrix(**PAIRS), "last": matrix()}
    assert decide_cuts(chain("stem", "last"), cosines, 0.0).made == ()


def test_a_layer_splits_along_what_reads_it_keeps_apart():
    started = chain("stem", "last").split("last", "d")
    cosines = {"stem": matrix(**PAIRS, cd=0.9, ab=0.9), "last": matrix()}
    made = decide_cuts(started, cosines, 0.0).made
    # c stays with a and b, which share `last`: the mean of the cosines with d is below 0 all the same.
    assert [(cut.layer, sorted(cut.tasks)) for cut in made] == [("stem", ["d"])]


def test_a_layer_without_weights_parts_with_what_it_reads():
    cosines = {name: matrix(**PAIRS) for name in ("stem", "last")}
    made = decide_cuts(chain("stem", "pool", "last"), cosines, 0.0, weightless=["pool"]).made
    assert [cut.layer for cut in made] == ["last", "pool", "stem"]
    shared = decide_cuts(chain("stem", "pool"), {"stem": matrix(**PAIRS)}, 0.0, weightless=["pool"])
    assert [cut.layer for cut in shared.made] == ["pool", "stem"]


def test_a_conflict_of_one_epoch_alone_is_none():
    cosines = {"stem": np.concatenate([matrix(**PAIRS), matrix()])}
    assert decide_cuts(chain("stem"), cosines, 0.0).made == ()


def test_what_was_never_measured_is_never_split():
    assert decide_cuts(chain("stem"), {"stem": np.full((2, 4, 4), np.nan)}, 1.0).made == ()


def test_a_threshold_above_all_cosines_parts_all_tasks():
    found = decide_cuts(chain("stem"), {"stem": matrix()}, 0.6)
    assert found.sharing == found.sharing.apart()
    assert decide_cuts(chain("stem"), {"stem": matrix()}, 0.5).made == ()
