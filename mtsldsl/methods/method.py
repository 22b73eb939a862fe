"""What a way to learn sharing says of itself in the language; `mtsldsl.methods` has a folder for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import attrs

from mtsldsl.language.kinds import CallRule
from mtsldsl.language.schema import BlockSchema
from mtsldsl.methods.evidence import Finding, Words
from mtsldsl.records import Record
from mtsldsl.sharing import Sharing
from mtsldsl.sharing.shape import Sizes

Values: TypeAlias = Mapping[str, Any]
"""The values of a block by key, as its schema has them: constants, names with arguments, tuples of such."""

NO_METHOD = "none"
"""The label of a `structure` block that is kept but has no effect."""


@attrs.frozen(eq=False, repr=False)
class Surroundings(Record):
    """What else of a spec the block may be held against; None where that is broken."""

    epochs: int | None
    """Those of the training."""
    lr: float | None
    """The optimizer's learning rate."""
    grouped: bool = False
    """Whether the tasks are in groups in which some help."""
    balance: str | None = None
    """The name of the balance of the training."""


@attrs.frozen(eq=False, repr=False)
class Fault(Record):
    """What is wrong, or doubtful, with values that are sound one by one: its report, and where it stands: at a key, or
    at an item of that key's list."""

    code: str
    cause: str
    remedy: str
    key: str
    item: int | None = None


@attrs.frozen(eq=False, repr=False)
class Situation(Record):
    """What `Method.doubts` may look at in a sound spec."""

    settings: Any
    sharing: Sharing
    epochs: int
    images: int | None
    """Training images, None where that takes a look at the data."""
    written: Callable[[str, str], bool]
    """Whether the text gives an argument of a key's call, or leaves it at its default."""


@attrs.frozen(eq=False, repr=False)
class Reach(Record):
    """How far the network of a sound spec can go on to share: the parameters of its single-task networks, and those
    where all tasks of a side share every layer that they read. Those of a side read inputs of one size."""

    sharing: Sharing
    sides: Sequence[frozenset[str]]
    single: int
    least: int
    sizes: Sizes
    """What shapes of sharing cost; of tasks with several data blocks for the samples of the first."""
    epochs: int
    """Those of the training."""


@attrs.frozen(eq=False, repr=False)
class OneAPhase(Record):
    """An argument of a key's call, which may be a list with an entry for each phase."""

    key: str
    call: str
    argument: str


@attrs.frozen(eq=False, repr=False)
class Budgets(Record):
    """The key of a method of which one run gives a network for each of several budgets, each under its own name, that
    which names the run's own, and which budgets these are by the settings, in a network of these sizes."""

    key: str
    own: str
    of: Callable[[Any, Sizes], tuple[float, ...]]


@attrs.frozen(eq=False, repr=False)
class DecisionRule(Record):
    """A line of `history` that a method writes: its arguments, the first of which is the epoch.

    Of two decisions on one `subject` the earlier counts, of equal ones the stronger by `strength`, a number, where they
    have one. `contradiction` says in words where a sharing has something else than what was decided.
    """

    call: CallRule
    subject: tuple[str, ...]
    strength: str | None
    contradiction: Callable[[Values, Sharing], str | None]
    example: str
    """How such a line is written."""
    rising: bool = True
    """Whether more of `strength` is the stronger; else less is."""


@attrs.frozen(eq=False, repr=False)
class Method(Record):
    """A structure learner as the language knows it. Its name is the label of `block`.

    `settings` makes the typed record that the learner is made of. `faults` holds the values against each other and
    their surroundings, where the sound ones alone are given; `completed` fills in what the surroundings decide.
    """

    block: BlockSchema
    decisions: tuple[DecisionRule, ...]
    settings: Callable[[Values], Any]
    learner: str
    """The name of its class in `learner.py`, which is made of the settings."""
    paper: str = ""
    """Where it comes from: authors, title, where and when; the sentence of what a run does is `block.summary`."""
    faults: Callable[[Values, Surroundings], Iterator[Fault]] = lambda values, surroundings: iter(())
    completed: Callable[[Values, Surroundings], Values] = lambda values, surroundings: values
    doubts: Callable[[Situation], Iterator[Fault]] = lambda situation: iter(())
    decides: Callable[[Any], bool] = lambda settings: True
    """Whether it changes what tasks share, with these settings."""
    groups: bool = False
    """Whether there may be groups with tasks that help, in which others have nothing to decide."""
    alternatives: bool = False
    """Whether it learns which alternatives of layers tasks use: then there must be some; else there can be none, unless
    it decides nothing."""
    hindrances: Callable[[Any, Reach], Iterator[Fault]] | None = None
    """What stands in the way of its settings in the network of a spec; asked only of what has no alternatives."""
    phases: str | None = None
    """The key with the epochs at whose end it decides, a list or the only one; fewer epochs of training shorten that.
    """
    phases_for: str | None = None
    """The key without which it decides nothing and has no phases: it is left out with the last of them."""
    one_a_phase: tuple[OneAPhase, ...] = ()
    budget: str | None = None
    """The key that says how many parameters the network may have, as a part of those of single-task networks."""
    budgeted: Callable[[float], str] = repr
    """How such a part is written as the value of that key."""
    beside_budget: tuple[str, ...] = ()
    """Keys that may not stand beside it."""
    budgets: Budgets | None = None
    """Where it has several, each with a network of its own."""
    later: Values = attrs.field(factory=dict)
    """Keys that only later versions have, with their defaults: at these the hash of a spec stays what it was."""
    counts: Callable[[Any], bool] = lambda settings: False
    """Whether it decides by numbers of parameters, with these settings."""
    networks: Callable[[Any], bool] = lambda settings: False
    """Whether its learner trains networks beside the run's own, with these settings: then the gradient of each is
    clipped by itself."""
    beside_lower_rate: str = ""
    """What helps where the loss of such a network is not finite, as a lower learning rate does."""
    teaches: Callable[[Any], bool] = lambda settings: False
    """Whether what it had before its phases teaches the network to the end, with these settings."""
    findings: tuple[type[Finding], ...] = ()
    """The events that its learner writes."""
    words: Words = attrs.field(factory=Words)
    """How a person is told of its phases."""

    @property
    def name(self) -> str:
        """The label of its block."""
        return str(self.block.label)
