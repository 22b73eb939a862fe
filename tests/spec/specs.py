"""Specifications for tests: a small network, and texts in whatever layout a person may choose."""

from __future__ import annotations

from hypothesis import strategies as st

from mtsldsl.sharing import Backbone, format_components
from tests.sharing.strategies import valid_sharings

LAYERS = ("stem", "enc1", "enc2", "dec1", "dec2")
READS = {"enc1": ("stem",), "enc2": ("enc1",), "dec1": ("enc2", "enc1"), "dec2": ("dec1", "stem")}
BACKBONE = Backbone(LAYERS, READS)
TASKS = ("segment", "depth", "edge", "normal")

BODY = """\
mtl 1

data scenes {
  input = image(3, 32, 32)
}

task segment {
  target = classes(5)
  head   = conv2d(5, 1) | resize_as(image)
}

task depth {
  target = values(1)
  head   = conv2d(1, 1) | resize_as(image)
}

task edge {
  target = binary(1)
  head   = conv2d(1, 1) | resize_as(image)
}

task normal {
  target = unit_vectors(3)
  head   = conv2d(3, 1) | resize_as(image)
}

backbone {
  stem = conv2d(8, 3, stride=2) | batch_norm | relu
  enc1 = conv2d(8, 3, stride=2) | batch_norm | relu
  enc2 = conv2d(16, 3) | batch_norm | relu
  dec1 = concat(enc1) | conv2d(8, 3) | batch_norm | relu
  dec2 = resize_as(stem) | concat(stem) | conv2d(8, 3) | relu
}

train {
  epochs = 4
}
"""


def text(*blocks: str) -> str:
    """The small network with further blocks."""
    return "\n".join([BODY, *blocks])


_COMMENTS = st.sampled_from(["# why", "#", "# a = b, c", '# "quoted" { } ( ', "# all | each", "#\ttab  "])
_GAPS = st.sampled_from(["", " ", "  ", "\t", "   "])


@st.composite
def _blank(draw: st.DrawFn) -> str:
    """Blank lines and comments between two lines."""
    lines = draw(st.lists(st.one_of(st.just(""), _COMMENTS.map(lambda comment: f"  {comment}")), max_size=2))
    return "".join(f"{line}\n" for line in lines)


@st.composite
def _value(draw: st.DrawFn, value: str) -> str:
    """Components with gaps, and where a line may go on with line ends and comments."""
    parts = []
    for word in value.replace("+", " + ").replace(",", " , ").split():
        parts.append(word)
        if word in "+,":
            comment = draw(st.one_of(st.just(""), st.just(""), _COMMENTS))
            parts.append(f"{comment}\n    " if comment else draw(st.sampled_from(["", " ", "\n    "])))
        else:
            parts.append(draw(_GAPS))
    return "".join(parts).rstrip(" \t")


@st.composite
def sharing_blocks(draw: st.DrawFn, sharing: object) -> str:
    """A block that says the sharing: ranges, `all` and `each` where they fit, lines left out, any layout."""
    lines: list[str] = []
    position = 0
    while position < len(LAYERS):
        layer = LAYERS[position]
        same = [name for name in LAYERS[position:] if sharing[name] == sharing[layer]]  # type: ignore[index]
        run = next(
            (n for n in range(1, len(LAYERS) - position) if LAYERS[position + n] not in same), len(LAYERS) - position
        )
        length = draw(st.integers(1, run))
        components = sharing[layer]  # type: ignore[index]
        forms = [format_components(sharing, layer)]  # type: ignore[arg-type]
        if len(components) == 1:
            forms.append("all")
        if len(components) == len(TASKS):
            forms += ["each", ""]
        form = draw(st.sampled_from(forms))
        if form:
            key = layer if length == 1 else f"{layer}..{LAYERS[position + length - 1]}"
            comment = draw(st.one_of(st.just(""), _COMMENTS.map(lambda comment: f"  {comment}")))
            gap, after = draw(_GAPS), draw(st.sampled_from([" ", "", "\n    "]))
            lines.append(f"{draw(_blank())}  {key}{gap}={after}{draw(_value(form))}{comment}\n")
        position += length
    tail = draw(st.sampled_from(["", "\n", "  # the end\n"]))
    return f"sharing {{\n{''.join(lines)}{tail}}}\n"


@st.composite
def laid_out_texts(draw: st.DrawFn) -> tuple[str, object]:
    """A text with a sharing in any layout, and that sharing."""
    sharing = draw(valid_sharings(BACKBONE, TASKS))
    blocks = [draw(sharing_blocks(sharing))]
    if draw(st.booleans()):
        merge = "merge(epoch=1, layer=stem, tasks=depth + edge, similarity=0.5)"
        history = draw(
            st.sampled_from(["history {}\n", "history { # so far\n}\n", f"history {{\n\t{merge}  # first\n\n}}\n"])
        )
        blocks.insert(draw(st.integers(0, 1)), history)
    whole = text(*blocks, draw(st.sampled_from(["", "# the last words", "\n\n"])))
    if draw(st.booleans()):
        whole = whole.replace("\n", "\r\n")
    return whole, sharing
