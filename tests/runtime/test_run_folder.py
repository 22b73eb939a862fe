"""Names with numbers in a run folder are compared by their numbers."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import example, given
from hypothesis import strategies as st

from mtsldsl.runtime.run.folder import RunFolder, epoch_of

OTHERS = st.sampled_from(
    [".partial-epoch-5000", ".outdated-epoch-5000", "epoch-5000 copy", "epoch-", "epoch-²", "seen"]
)


@given(st.sets(st.integers(1, 99_999), min_size=1, max_size=5), st.sets(OTHERS))
@example({999, 1000}, {"epoch-9 copy"})
def test_the_latest_checkpoint_is_that_of_the_latest_epoch(epochs: set[int], others: set[str]) -> None:
    with TemporaryDirectory() as place:
        folder = RunFolder.create(Path(place), "run")
        for name in (*(f"epoch-{epoch:03d}" for epoch in epochs), *others):
            (folder.checkpoints / name).mkdir()
        latest = folder.latest_checkpoint()
        assert latest is not None
        assert epoch_of(latest) == max(epochs)


@given(st.sets(OTHERS))
def test_what_is_no_checkpoint_is_none(others: set[str]) -> None:
    with TemporaryDirectory() as place:
        folder = RunFolder.create(Path(place), "run")
        for name in others:
            (folder.checkpoints / name).mkdir()
        assert folder.latest_checkpoint() is None


@given(st.sets(st.integers(1, 99_999), max_size=5), st.sets(st.sampled_from(["²", "1.old", "old", "-7"])))
@example({9, 10}, {"²"})
def test_a_new_run_has_the_number_after_the_highest(numbers: set[int], others: set[str]) -> None:
    with TemporaryDirectory() as place:
        for name in (*map(str, numbers), *others):
            (Path(place) / "run" / name).mkdir(parents=True)
        assert RunFolder.create(Path(place), "run").path.name == str(max(numbers, default=0) + 1)
