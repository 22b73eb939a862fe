"""MTL5: structure and history."""

from __future__ import annotations

from mtsldsl.diagnostics.registry.entry import Code, Family

STRUCTURE = Family(
    "structure and history",
    (
        Code(
            "MTL501",
            "structural phases after the last epoch",
            "A phase comes at the end of an epoch; one after the last epoch would never come.",
            "Train for more epochs, or leave late phases out.",
            """\
structure mtsl {
  phases = [2, 6]
}
""",
            """\
structure mtsl {
  phases = [2, 3]
}
""",
        ),
        Code(
            "MTL502",
            "amalgamation epochs that do not cover the phases",
            "Each phase trains what it merges for some epochs: one number holds for all, a list has one for each.",
            "Give one number for all phases, or a list with one for each.",
            """\
structure mtsl {
  phases   = [1, 2, 3]
  transfer = amalgamate(epochs=[1, 2])
}
""",
            """\
structure mtsl {
  phases   = [1, 2, 3]
  transfer = amalgamate(epochs=[1, 2, 2])
}
""",
        ),
        Code(
            "MTL503",
            "structural phases out of order",
            "Phases come one after the other, each once.",
            "List the phases in rising order, each once.",
            """\
structure mtsl {
  phases = [2, 1]
}
""",
            """\
structure mtsl {
  phases = [1, 2]
}
""",
        ),
        Code(
            "MTL504",
            "a history line that does not fit the spec",
            "`history` is the record of the merges so far. A decision about a layer or task that there is not is no "
            "record of this spec.",
            "Write `merge(...)` with layers and tasks that there are, or leave the line out.",
            """\
sharing {
  stem = depth + edge
}

history {
  merge(epoch=1, layer=stm, tasks=depth + edge, similarity=0.93)
}
""",
            """\
sharing {
  stem = depth + edge
}

history {
  merge(epoch=1, layer=stem, tasks=depth + edge, similarity=0.93)
}
""",
        ),
    ),
)
