"""Similarities in the language: by what tasks' copies of a layer are compared. Any method may let a spec choose one;
`runtime.structure.similarities` computes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal, TypeAlias

import attrs

from mtsldsl.diagnostics.bounded import MOST_SHOWN, shown
from mtsldsl.language.constants import Named
from mtsldsl.language.holding import by_keys
from mtsldsl.language.kinds import Call, CallRule, Choice, Flag, Integer, Key, Real
from mtsldsl.methods.evidence import Finding, Matrix, told
from mtsldsl.methods.method import Fault, Situation
from mtsldsl.records import Record
from mtsldsl.sharing.partition import Partition, parted

_SAMPLES = Key("samples", Integer(4), "training samples", 800)

CKA = CallRule(
    "cka",
    "centred kernel alignment (Kornblith et al., 2019) of features averaged over space",
    (
        _SAMPLES,
        Key("kernel", Choice(("linear", "rbf")), "kernel", "linear"),
        Key("debiased", Flag(), "use the unbiased estimator", True),
    ),
)

RSA = CallRule(
    "rsa",
    "rank correlation of how unlike every two samples' features are, averaged over space (Dwivedi and Roig, 2019)",
    (_SAMPLES,),
)

GRADIENT = CallRule(
    "gradient",
    "cosine of the gradients of the tasks' losses with respect to what the layer reads (Du et al., 2018)",
    (_SAMPLES,),
)

TRANSFERENCE = CallRule(
    "transference",
    "part of a task's loss that goes when its copy takes the other's step (Fifty et al., 2020), mean of both ways",
    (_SAMPLES, Key("lr", Real(0, open_minimum=True), "learning rate of that step", None, "the optimizer's")),
)

READOUT = CallRule(
    "readout",
    "variance of one copy's features, in place, that a linear read-out of the other's explains, mean of both ways",
    (_SAMPLES,),
)

STITCHED = CallRule(
    "stitched",
    "a task's loss over that with its features read out of the other's (Bansal et al., 2021), mean of both ways",
    (Key("samples", Integer(8), "training samples, half of them for the read-out", 800),),
)

SIMILARITIES = Call((CKA, RSA, GRADIENT, TRANSFERENCE, READOUT, STITCHED), "similarities")


@attrs.frozen(eq=False, repr=False, field_transformer=by_keys(CKA.keys))
class Cka(Record):
    """Centred kernel alignment over so many training samples."""

    samples: int
    kernel: Literal["linear", "rbf"]
    debiased: bool

    usual: ClassVar[float] = 0.8
    """The threshold where none is given."""
    highest: ClassVar[float] = 1.0
    """No two tasks are more similar than that."""
    apart: ClassVar[bool] = False
    """Whether tasks that read samples of their own cannot be compared."""

    @property
    def lowest(self) -> float | None:
        """No two tasks are less similar than that; None where there is no such number."""
        return -1.0 if self.debiased else 0.0


@attrs.frozen(eq=False, repr=False, field_transformer=by_keys(RSA.keys))
class Rsa(Record):
    """Representational similarity analysis over so many training samples."""

    samples: int

    usual: ClassVar[float] = 0.8
    lowest: ClassVar[float | None] = -1.0
    highest: ClassVar[float] = 1.0
    apart: ClassVar[bool] = False


@attrs.frozen(eq=False, repr=False, field_transformer=by_keys(GRADIENT.keys))
class Gradient(Record):
    """The cosine of gradients over so many training samples."""

    samples: int

    usual: ClassVar[float] = 0.0
    lowest: ClassVar[float | None] = -1.0
    highest: ClassVar[float] = 1.0
    apart: ClassVar[bool] = True


@attrs.frozen(eq=False, repr=False, field_transformer=by_keys(TRANSFERENCE.keys))
class Transference(Record):
    """The transference of steps at this learning rate, over batches of so many training samples."""

    samples: int
    lr: float

    usual: ClassVar[float] = 0.0
    lowest: ClassVar[float | None] = None
    highest: ClassVar[float] = 1.0
    apart: ClassVar[bool] = False


@attrs.frozen(eq=False, repr=False, field_transformer=by_keys(READOUT.keys))
class Readout(Record):
    """Linear read-out of features over so many training samples."""

    samples: int

    usual: ClassVar[float] = 0.8
    lowest: ClassVar[float | None] = 0.0
    highest: ClassVar[float] = 1.0
    apart: ClassVar[bool] = False


@attrs.frozen(eq=False, repr=False, field_transformer=by_keys(STITCHED.keys))
class Stitched(Record):
    """The losses of stitched networks over so many training samples."""

    samples: int

    usual: ClassVar[float] = 0.8
    lowest: ClassVar[float | None] = 0.0
    highest: ClassVar[float] = 1.0
    apart: ClassVar[bool] = True


Chosen: TypeAlias = Cka | Rsa | Gradient | Transference | Readout | Stitched
"""The record of a similarity with its arguments."""

RECORDS: dict[str, type[Chosen]] = {
    CKA.name: Cka,
    RSA.name: Rsa,
    GRADIENT.name: Gradient,
    TRANSFERENCE.name: Transference,
    READOUT.name: Readout,
    STITCHED.name: Stitched,
}
"""By the name in a spec; the module that computes it has that name too."""


def name_of(chosen: Chosen) -> str:
    """What a spec calls it."""
    return next(name for name, record in RECORDS.items() if isinstance(chosen, record))


def record_of(similarity: Named) -> Chosen:
    """The record of what a spec says, once it is `completed`."""
    return RECORDS[similarity.name](**similarity.arguments)  # type: ignore[arg-type]  # held to their kinds by the record


def reads_the_same(chosen: Chosen) -> bool:
    """Whether it compares copies that read the same values; else what copies make of the same samples, whatever they
    read."""
    return isinstance(chosen, Gradient | Transference)


def of_features(similarity: str) -> bool:
    """Whether one of that name compares what copies make of the same samples and nothing else, so that copies of two
    networks can be compared too."""
    return similarity in (CKA.name, RSA.name, READOUT.name)


def comparable(chosen: Chosen, tasks: frozenset[str], sources: Partition) -> Sequence[frozenset[str]]:
    """Those of tasks with inputs of one shape that can be compared: where the similarity needs it, tasks of one source,
    so that each sample is for all."""
    return parted(tasks, sources) if chosen.apart else [tasks]


def completed_similarity(similarity: Named, lr: float | None) -> Named:
    """What a spec says, with the optimizer's learning rate where a step is to be made and it gives none."""
    if similarity.arguments.get("lr", lr) is not None:
        return similarity
    return attrs.evolve(similarity, arguments={**similarity.arguments, "lr": lr})


_EXTREMES = 3
"""Of many pairs, so many of the most similar and of the least are told."""


def too_many_samples(chosen: Chosen, situation: Situation) -> Iterator[Fault]:
    """The doubt about more samples than there are; the default is a bound, and asks for none."""
    wanted, images = chosen.samples, situation.images
    if images is not None and wanted > images and situation.written("similarity", "samples"):
        cause = f"the similarity asks for {wanted} training images, and there are {images}"
        yield Fault("MTL934", cause, "ask for fewer `samples`, or render more `images`", "similarity")


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Compared(Finding):
    """How similar tasks' copies of a layer are, every two: a matrix (tasks, tasks)."""

    layer: str
    tasks: Sequence[str]
    similarity: Sequence[Sequence[float]]

    def lines(self) -> list[str]:
        """All pairs of a few tasks; of more those at both ends."""
        tasks, found = self.tasks, self.similarity
        pairs = [(found[i][j], f"{tasks[i]}~{tasks[j]}") for i in range(len(tasks)) for j in range(i + 1, len(tasks))]
        if len(pairs) <= MOST_SHOWN:
            return [f"{self.layer}: similarity {_pairs(pairs)}"]
        ordered = sorted(pairs, key=lambda pair: -pair[0])
        most, least = _pairs(ordered[:_EXTREMES]), _pairs(ordered[-_EXTREMES:])
        return [f"{self.layer}: similarity of {len(pairs)} pairs: {most} the most, {least} the least"]

    def title(self) -> str:
        """What the page of the run calls the matrix."""
        return f"Epoch {self.epoch}, similarities at {self.layer}"

    def shown(self) -> Sequence[str | Matrix]:
        """The whole matrix."""
        return [Matrix(self.title(), self.tasks, self.similarity, ("The most similar", "the least"))]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Incomparable(Finding):
    """Tasks that might share a layer, but for the sizes of their inputs, or where the similarity needs samples that
    all read, for their samples: no two of these sets are ever compared."""

    kind = "incomparable"
    layer: str
    tasks: Sequence[Sequence[str]]
    difference: str = "inputs of other sizes"

    def lines(self) -> list[str]:
        """The sets."""
        sides = " and ".join(shown(side, " + ") for side in self.tasks)
        return [f"{self.layer}: {sides} have {self.difference}, so they are not compared, and never merge here"]


def _pairs(pairs: Sequence[tuple[float, str]]) -> str:
    return ", ".join(f"{names} {told(similarity)}" for similarity, names in pairs)
