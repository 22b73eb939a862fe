"""The table of operators: all that the checks, the costs and the compiler know of a layer's arithmetic.

Names, arguments and defaults are PyTorch's but where an operator's summary says otherwise: `padding` keeps the size of
the image, `bias` looks at what follows, and interpolation is bilinear.
"""

from __future__ import annotations

from mtsldsl.language.operator import Operator
from mtsldsl.language.operators.elementwise import ELEMENTWISE
from mtsldsl.language.operators.image import IMAGE
from mtsldsl.language.operators.joining import JOINING
from mtsldsl.language.operators.normalisation import NORMALISATION
from mtsldsl.language.operators.own import OUTPUT, OWN_MODULE
from mtsldsl.language.operators.resizing import RESIZING
from mtsldsl.language.operators.sequences import SEQUENCES
from mtsldsl.language.operators.tokens import TOKENS

__all__ = ["OPERATORS"]

OPERATORS: dict[str, Operator] = {
    operator.name: operator
    for family in (IMAGE, NORMALISATION, ELEMENTWISE, RESIZING, JOINING, TOKENS, SEQUENCES, (OWN_MODULE, OUTPUT))
    for operator in family
}
