"""MTL0: the text."""

from __future__ import annotations

from mtsldsl.diagnostics.registry.entry import Code, Family

TEXT = Family(
    "the text",
    (
        Code(
            "MTL001",
            "the text cannot be read at this place",
            "A text is a line `mtl 1` and blocks of `key = value`, one entry a line. The report says what was found "
            "at the mark and what is expected there; other entries are read all the same.",
            "Look at the mark. Often two entries stand on one line, or a value or a comma is missing.",
            """\
train {
  epochs = 4 seed = 1
}
""",
            """\
train {
  epochs = 4
  seed   = 1
}
""",
        ),
        Code(
            "MTL002",
            "a block or bracket is not closed",
            "The mark is at the brace or bracket that was left open, which may be far above the place where that "
            "shows.",
            "Close the block with `}`, the bracket with `)` or `]`.",
            """\
train {
  epochs    = 4
  optimizer = adam(lr=1e-3
}
""",
            """\
train {
  epochs    = 4
  optimizer = adam(lr=1e-3)
}
""",
        ),
        Code(
            "MTL003",
            "a character that the language does not have",
            "Outside strings and comments a text has ASCII letters, digits and a few signs. Characters copied from "
            "formatted text, such as curly quotes or long dashes, often only look right.",
            "Remove the character, or put it into a string or a comment.",
            """\
train {
  epochs = 4;
}
""",
            """\
train {
  epochs = 4
}
""",
        ),
        Code(
            "MTL004",
            "a string is not closed",
            "A string ends on its line, so that a forgotten quote does not swallow the rest of the text.",
            'Close the string with `"`; write a line break inside it as `\\n`.',
            """\
data nyuv2 {
  root = "data/nyuv2
}
""",
            """\
data nyuv2 {
  root = "data/nyuv2"
}
""",
        ),
        Code(
            "MTL005",
            "the file is not UTF-8 text",
            "Texts are UTF-8, with or without a byte order mark, whatever the system's own encoding.",
            "Save the file as UTF-8.",
            occurs="when a file is read that holds other bytes, such as UTF-16 text or an archive",
            console="""\
# spec.mtl was saved as UTF-16
$ mtsldsl check spec.mtl
""",
        ),
        Code(
            "MTL006",
            "the first line is not `mtl 1`",
            "The line names the version of the language, so that a later mtsldsl knows how to read an old text.",
            "Put the line `mtl 1` before the first block, once.",
            """\
train {
  epochs = 4
}

mtl 1

data scenes {
  input = image(3, 32, 32)
}

task depth {
  target = values(1)
  head   = conv2d(1, 1)
}

backbone {
  stem = conv2d(8, 3) | relu
}
""",
            """\
mtl 1

train {
  epochs = 4
}

data scenes {
  input = image(3, 32, 32)
}

task depth {
  target = values(1)
  head   = conv2d(1, 1)
}

backbone {
  stem = conv2d(8, 3) | relu
}
""",
        ),
        Code(
            "MTL007",
            "a version of the language that is not known",
            "A newer version may have blocks and meanings that this mtsldsl does not know, so it does not guess.",
            "Write `mtl 1`, or use a version of mtsldsl that knows the newer language.",
            """\
mtl 2

data scenes {
  input = image(3, 32, 32)
}

task depth {
  target = values(1)
  head   = conv2d(1, 1)
}

backbone {
  stem = conv2d(8, 3) | relu
}

train {
  epochs = 4
}
""",
            """\
mtl 1

data scenes {
  input = image(3, 32, 32)
}

task depth {
  target = values(1)
  head   = conv2d(1, 1)
}

backbone {
  stem = conv2d(8, 3) | relu
}

train {
  epochs = 4
}
""",
        ),
        Code(
            "MTL008",
            "a value too large or nested too deeply",
            "Numbers beyond what a computer's arithmetic holds exactly, and brackets in brackets without end, are "
            "always a mistake, and reading them would cost time and memory.",
            "Write a smaller number, or name inner parts with `let` or `block`.",
            """\
train {
  epochs = 4
  seed   = 123456789012345678901
}
""",
            """\
train {
  epochs = 4
  seed   = 1234567890
}
""",
        ),
        Code(
            "MTL009",
            "a number or a string that is not written as the language writes it",
            "There is one way to write each: a digit on both sides of a point, no separators, and few escapes in "
            "strings.",
            'Write numbers like `3`, `0.5` and `1e-4`, and escapes like `\\"` and `\\n`.',
            """\
train {
  epochs = 4
  seed   = 1_000
}
""",
            """\
train {
  epochs = 4
  seed   = 1000
}
""",
        ),
        Code(
            "MTL010",
            "a merge conflict that is still marked",
            "Git, or `mtsldsl merge`, put both sides between markers where they changed the same thing differently. "
            "Until one is chosen there are two texts in the file and no spec.",
            "Keep the lines that are to stay, and remove the others and the three marker lines.",
            """\
train {
<<<<<<< ours
  epochs = 4
=======
  epochs = 8
>>>>>>> theirs
}
""",
            """\
train {
  epochs = 8
}
""",
        ),
    ),
)
