"""`data omniglot` in the language."""

from __future__ import annotations

import re
from types import MappingProxyType

import attrs

from mtsldsl.datasets.kind import AUGMENT, BATCH, SEED, DataKind, Options
from mtsldsl.language.holding import by_keys
from mtsldsl.language.kinds import Input, Key, Many, Text
from mtsldsl.language.schema import BlockSchema
from mtsldsl.records import Record

CHARACTERS = MappingProxyType(
    {
        "Alphabet_of_the_Magi": 20,
        "Anglo-Saxon_Futhorc": 29,
        "Arcadian": 26,
        "Armenian": 41,
        "Asomtavruli_(Georgian)": 40,
        "Balinese": 24,
        "Bengali": 46,
        "Blackfoot_(Canadian_Aboriginal_Syllabics)": 14,
        "Braille": 26,
        "Burmese_(Myanmar)": 34,
        "Cyrillic": 33,
        "Early_Aramaic": 22,
        "Futurama": 26,
        "Grantha": 43,
        "Greek": 24,
        "Gujarati": 48,
        "Hebrew": 22,
        "Inuktitut_(Canadian_Aboriginal_Syllabics)": 16,
        "Japanese_(hiragana)": 52,
        "Japanese_(katakana)": 47,
        "Korean": 40,
        "Latin": 26,
        "Malay_(Jawi_-_Arabic)": 40,
        "Mkhedruli_(Georgian)": 41,
        "N_Ko": 33,
        "Ojibwe_(Canadian_Aboriginal_Syllabics)": 14,
        "Sanskrit": 42,
        "Syriac_(Estrangelo)": 23,
        "Tagalog": 17,
        "Tifinagh": 55,
        "Angelic": 20,
        "Atemayar_Qelisayer": 26,
        "Atlantean": 26,
        "Aurek-Besh": 26,
        "Avesta": 26,
        "Ge_ez": 26,
        "Glagolitic": 45,
        "Gurmukhi": 45,
        "Kannada": 41,
        "Keble": 26,
        "Malayalam": 47,
        "Manipuri": 40,
        "Mongolian": 30,
        "Old_Church_Slavonic_(Cyrillic)": 45,
        "Oriya": 46,
        "Sylheti": 28,
        "Syriac_(Serto)": 23,
        "Tengwar": 25,
        "Tibetan": 42,
        "ULOG": 26,
    }
)
"""The official names of the alphabets, those of the background set first, and how many characters each has."""


def spelt(name: str) -> str:
    """An alphabet as a task may be called: what is between letters and digits is one `_`."""
    return "_".join(re.findall(r"[A-Za-z0-9]+", name))


OFFICIAL = MappingProxyType({spelt(name): name for name in CHARACTERS})
"""The official name of each alphabet, by how a task may be called."""

BLOCK = BlockSchema(
    "data",
    "Omniglot (Lake et al., 2015): handwritten characters, each task an alphabet with drawings of its own",
    (
        Key("input", Input(), "the input's name and the sizes of one sample", ("image", 1, 105, 105)),
        Key("root", Text(), "folder or file of the data set"),
        Key(
            "alphabets",
            Many(Text()),
            "the alphabets of the tasks, in the order of the tasks",
            (),
            otherwise="those that the tasks are called after",
        ),
        SEED,
        BATCH,
        AUGMENT,
    ),
    label="omniglot",
)


@attrs.frozen(eq=False, repr=False, field_transformer=by_keys(BLOCK.keys))
class Settings(Record):
    """Where the data set is, which alphabets are read, and how their drawings are divided."""

    root: str
    alphabets: tuple[str, ...]
    seed: int


def _classes(options: Options, field: str) -> int | None:
    """The characters of the alphabet that a field is called after; in a list it is told by its place alone."""
    name = OFFICIAL.get(spelt(field))
    return None if options["alphabets"] or name is None else CHARACTERS[name]


KIND = DataKind(
    BLOCK,
    place="root",
    remedy="get images_background and images_evaluation from https://github.com/brendenlake/omniglot, unpack both into "
    "one folder, and set `root` to where it is",
    ink=True,
    apart=lambda _: True,
    classes=_classes,
    counted=tuple(map(spelt, CHARACTERS)),
)
