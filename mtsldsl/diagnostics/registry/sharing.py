"""MTL4: sharing."""

from __future__ import annotations

from mtsldsl.diagnostics.registry.entry import Code, Family

SHARING = Family(
    "sharing",
    (
        Code(
            "MTL401",
            "sharing names an unknown layer",
            "Every line of `sharing` is about a layer of `backbone`, or about a range of them from top to bottom.",
            "Check the layer's name, and the direction of a range.",
            """\
sharing {
  sten = depth + edge
}
""",
            """\
sharing {
  stem = depth + edge
}
""",
        ),
        Code(
            "MTL402",
            "an unknown task",
            "The components of a layer are made of the tasks of the spec, and `keep` takes the metric of one of them.",
            "Check the task's name.",
            """\
sharing {
  stem = depth + edges
}
""",
            """\
sharing {
  stem = depth + edge
}
""",
        ),
        Code(
            "MTL403",
            "sharing leaves a task out",
            "Every task runs through every layer, so every line says for each task which copy it takes.",
            "Add the task: after a comma for a copy of its own, after `+` to share one.",
            """\
sharing {
  stem = depth
}
""",
            """\
sharing {
  stem = depth + edge
}
""",
        ),
        Code(
            "MTL404",
            "sharing lists a task twice",
            "A task takes one copy of a layer.",
            "Name the task once.",
            """\
sharing {
  stem = depth + edge, depth
}
""",
            """\
sharing {
  stem = depth + edge
}
""",
        ),
        Code(
            "MTL405",
            "sharing breaks the refinement rule",
            "Tasks can share a computation only if they share all that it reads: so a deeper layer's components lie "
            "inside those of every layer that it reads from.",
            "Let the tasks share the layer that is read too, or part them here.",
            """\
sharing {
  stem = depth, edge
  enc1 = depth + edge
}
""",
            """\
sharing {
  stem = depth + edge
  enc1 = depth + edge
}
""",
        ),
        Code(
            "MTL406",
            "sharing lists a layer twice",
            "Two lines for one layer leave open which of them holds.",
            "Leave one of the two lines out.",
            """\
sharing {
  stem..enc1 = all
  enc1       = each
}
""",
            """\
sharing {
  stem = all
  enc1 = each
}
""",
        ),
        Code(
            "MTL407",
            "sharing cannot be merged so",
            "A merge joins whole components that share all that the layer reads; a sharing fits the layers and tasks "
            "that it was made for.",
            "Merge whole components that lie in one component of every layer read; take a sharing of the same layers "
            "and tasks.",
            occurs="for `train --sharing OTHER.mtl` where the other spec has other layers, and for `Sharing.merge`",
            console="""\
# wide.mtl has other layers
$ mtsldsl train --sharing wide.mtl spec.mtl
""",
        ),
        Code(
            "MTL408",
            "a form of sharing that this method does not use",
            "Labels and parentheses belong to parameter allocation and to task grouping by transference.",
            "Leave the label or the parentheses out.",
            """\
sharing {
  stem = depth + (edge)
}
""",
            """\
sharing {
  stem = depth + edge
}
""",
        ),
    ),
)
