"""Generated backbones (chains, skips, branches, several roots), tasks and valid sharings over them."""

from __future__ import annotations

from hypothesis import strategies as st

from mtsldsl.sharing import Backbone, Group, Sharing

TASKS = ("segment", "depth", "normal", "edge", "autoencode", "keypoint", "reshade", "albedo")
ALTERNATIVES = ("conv3", "conv5", "skip", "pool")


@st.composite
def backbones(draw, most=6):
    layers = tuple(f"layer{place}" for place in range(draw(st.integers(1, most))))
    reads = {}
    for place, layer in enumerate(layers):
        kind = draw(st.sampled_from(["chain", "any"]))
        if place and kind == "chain":
            reads[layer] = (layers[place - 1],)
        elif place:
            reads[layer] = tuple(draw(st.lists(st.sampled_from(layers[:place]), unique=True, max_size=3)))
    return Backbone(layers, reads)


def task_lists(most=8):
    return st.integers(1, most).flatmap(lambda count: st.permutations(TASKS).map(lambda names: tuple(names[:count])))


@st.composite
def valid_sharings(draw, backbone, tasks):
    """Any valid sharing: a layer's components are any partition of each set that shares all that the layer reads."""
    labels = {}
    for layer in backbone.layers:
        own = draw(st.lists(st.integers(0, 2), min_size=len(tasks), max_size=len(tasks)))
        labels[layer] = {
            task: (tuple(labels[source][task] for source in backbone.inputs(layer)), mark)
            for task, mark in zip(tasks, own, strict=True)
        }
    components = {}
    for layer in backbone.layers:
        blocks = {}
        for task in tasks:
            blocks.setdefault(labels[layer][task], []).append(task)
        components[layer] = list(blocks.values())
    return Sharing(backbone, tasks, components)


@st.composite
def sharings(draw, count=1, most=8):
    """A tuple of `count` valid sharings over one backbone and the same tasks."""
    backbone, tasks = draw(backbones()), draw(task_lists(most))
    return tuple(draw(valid_sharings(backbone, tasks)) for _ in range(count))


@st.composite
def backbones_of_alternatives(draw, most=6):
    """Some layers of them are made of one to four alternatives."""
    backbone = draw(backbones(most))
    alternatives = {}
    for layer in backbone.layers:
        count = draw(st.sampled_from([0, 0, 1, 2, 3, 4]))
        if count:
            alternatives[layer] = draw(st.permutations(ALTERNATIVES))[:count]
    return Backbone(backbone.layers, backbone.reads, alternatives)


@st.composite
def partitions(draw, tasks):
    """Any partition of the tasks, as lists."""
    blocks = {}
    for task in tasks:
        blocks.setdefault(draw(st.integers(0, 2)), []).append(task)
    return list(blocks.values())


@st.composite
def rows_with_covers(draw, backbone, tasks):
    """A valid sharing: any cover of a layer of alternatives, any partition below one, valid ones elsewhere."""
    components = dict(draw(valid_sharings(Backbone(backbone.layers, backbone.reads), tasks)).components)
    return Sharing(backbone, tasks, components | draw(free_rows(backbone, tasks)))


@st.composite
def free_rows(draw, backbone, tasks):
    """Rows of the layers that may have any: of alternatives, and below them."""
    users = st.lists(st.sampled_from(tasks), unique=True)
    found = {}
    for layer in backbone.layers:
        if backbone.alternatives(layer):
            found[layer] = {each: draw(users) for each in backbone.alternatives(layer)}
        elif backbone.below_alternatives(layer):
            found[layer] = draw(partitions(tasks))
    return found


@st.composite
def sharings_with_covers(draw, count=1, most=5):
    """A tuple of `count` valid sharings over one backbone, which may have layers of alternatives, and the same tasks."""
    backbone, tasks = draw(backbones_of_alternatives()), draw(task_lists(most))
    return tuple(draw(rows_with_covers(backbone, tasks)) for _ in range(count))


@st.composite
def grouped(draw, backbone, tasks):
    """A sharing in groups, the same at every layer; some have help, of tasks that another group serves."""
    served = draw(partitions(tasks))
    found = []
    for group in served:
        others = [task for task in tasks if task not in group]
        helping = draw(st.lists(st.sampled_from(others), unique=True)) if others else []
        found.append(Group(frozenset(group), frozenset(helping)))
    return Sharing(backbone, tasks, dict.fromkeys(backbone.layers, found))


@st.composite
def sharings_in_groups(draw, count=1, most=5):
    """A tuple of `count` sharings in groups over one backbone and the same tasks."""
    backbone, tasks = draw(backbones(3)), draw(task_lists(most))
    return tuple(draw(grouped(backbone, tasks)) for _ in range(count))


def groups(sharing):
    """A layer and a non-empty set of its tasks, whether or not they can be merged there."""
    return st.tuples(
        st.sampled_from(sharing.backbone.layers),
        st.lists(st.sampled_from(sharing.tasks), min_size=1, unique=True).map(frozenset),
    )


def rebuilt(sharing):
    """The same sharing through the constructor, which looks at all of it."""
    return Sharing(sharing.backbone, sharing.tasks, sharing.components)


@st.composite
def sharings_by_source(draw, count=1, most=6, backbone=None, tasks=None, sources=None):
    """A tuple of `count` valid sharings over one backbone, of tasks that read samples of one to three sources. Within a
    source a layer's components refine those of what it reads; copies of different sources are joined as it comes."""
    backbone = draw(backbones_of_alternatives()) if backbone is None else backbone
    tasks = draw(task_lists(most)) if tasks is None else tasks
    sources = draw(partitions(tasks)) if sources is None else sources
    return tuple(draw(_by_source(backbone, tasks, sources)) for _ in range(count))


@st.composite
def _by_source(draw, backbone, tasks, sources):
    plain = Backbone(backbone.layers, backbone.reads)
    parts = [draw(valid_sharings(plain, tuple(each))) for each in sources]
    components = draw(free_rows(backbone, tasks))
    for layer in backbone.layers:
        if layer in components:
            continue
        joined = {}  # a component has one part of each source at most
        for part in parts:
            places = draw(st.permutations(range(len(part[layer]) + 1)))
            for place, component in zip(places, part[layer], strict=False):
                joined.setdefault(place, []).extend(component)
        components[layer] = list(joined.values())
    return Sharing(backbone, tasks, components, sources)
