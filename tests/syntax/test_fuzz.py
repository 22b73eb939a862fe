"""Whatever bytes come in, the tools finish or report; they are quick, and take little memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from mtsldsl.diagnostics import MtlError
from mtsldsl.syntax import write_text_atomically
from tests.laws import law
from tests.syntax.endurance import OPENINGS, PIECES, examine, hold_to_memory
from tests.syntax.trees import files
from tests.timing import Measure, clocked, held_in_proportion

ROOT = Path(__file__).parents[2]
FINDINGS = sorted((ROOT / "tests" / "fuzz_cases").glob("*.mtl"))
SPECS = [path.read_bytes() for path in sorted((ROOT / "specs").glob("*.mtl"))]


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda path: path.stem)
def test_what_fuzzing_found_is_mended(finding: Path) -> None:
    examine(finding.read_bytes())


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_reported(data: bytes) -> None:
    examine(data)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=60).map("".join))
def test_any_pieces_of_the_language_are_read_or_reported(text: str) -> None:
    examine(text.encode())


@settings(max_examples=40, deadline=None)
@given(files())
def test_any_tree_is_read_and_formatted(pair: tuple[tuple[Any, ...], str]) -> None:
    assert examine(pair[1].encode()) != "bytes"


@st.composite
def damaged_specs(draw: st.DrawFn) -> bytes:
    """A sound spec with a few stretches of bytes cut out, doubled, moved or overwritten."""
    data = draw(st.sampled_from(SPECS))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.sampled_from([0, 1, 2, 8, 40, 400])))
        place = draw(st.integers(0, len(data)))
        data = draw(
            st.sampled_from(
                [
                    data[:start] + data[end:],
                    data[:end] + data[start:],
                    data[:place] + data[start:end] + data[place:],
                    data[:start] + draw(st.sampled_from(PIECES)).encode() + data[end:],
                    data[:start] + draw(st.binary(max_size=4)) + data[end:],
                ]
            )
        )
    return data


@law(60)
@given(damaged_specs())
def test_any_damage_to_a_spec_is_read_or_reported(data: bytes) -> None:
    examine(data)


@law(30, phases=[Phase.generate])  # what is slow takes long to make smaller
@given(st.sampled_from(OPENINGS), st.lists(st.sampled_from(PIECES), min_size=1, max_size=3).map("".join), st.booleans())
def test_time_grows_in_proportion_to_the_text(opening: str, piece: str, mirrored: bool) -> None:
    examine(b"mtl 1")  # the parser is built once

    def looking(size: int) -> Measure:
        count = size // len(piece.encode())
        data = f"{opening}{piece * count}{piece[::-1] * count if mirrored else ''}".encode()
        return clocked(lambda: examine(data))

    held_in_proportion(looking, 5_000)


@pytest.mark.soak
def test_hard_texts_of_10_kb_need_little_memory() -> None:
    """Those of 100 kB are in `tests/soak/test_limits_of_commands.py`."""
    hold_to_memory(10_000, 256 << 20)


def test_a_text_that_has_no_bytes_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(MtlError, match="MTL703"):
        write_text_atomically(tmp_path / "a.mtl", "# \udcff\n")
    assert list(tmp_path.iterdir()) == []
