"""The jobs of evidence are sound specs, whose learner has the budgets that all else is compared at."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from mtsldsl.cli.baselines import command
from mtsldsl.editing import load
from mtsldsl.editing.checking import check
from mtsldsl.syntax import read_source
from tests.benchmarks.loading import FOLDER, loaded

CHOSEN = Namespace(seeds=None, jobs=2, data=Path("data"), output=Path("out"), quick=False, job=[])


def test_every_spec_is_a_job_and_every_job_a_sound_spec() -> None:
    with loaded("evidence") as script:
        assert {job.spec for job in script.JOBS} == {path.stem for path in (FOLDER / "evidence").glob("*.mtl")}
        for job in script.JOBS:
            path = FOLDER / "evidence" / f"{job.spec}.mtl"
            assert check(read_source(path), pedantic=True).diagnostics == (), path
            spec = load(path)
            assert spec.train.balance.name == "relative"
            assert spec.structure is not None
            budgets = () if spec.structure.known.budgets is None else spec.structure.settings.budgets
            assert [float(each) for each in (job.budgets or "").split(",") if each] == list(budgets or ())


def test_the_commands_are_ones_of_mtsldsl() -> None:
    with loaded("evidence") as script:
        for quick, count in ((False, len(script.JOBS)), (True, 2)):
            jobs = list(script.jobs(Namespace(**{**vars(CHOSEN), "quick": quick})))
            assert len(jobs) == count
            for job in jobs:
                words = job.command(Namespace(**{**vars(CHOSEN), "quick": quick}))
                assert words[:2] == ["mtsldsl", "baselines"]
                context = command.make_context("baselines", words[2:])
                assert context.params["seeds"] == ("0..2" if quick else "0..7")
                assert context.params["budgets"] == (job.quick if quick else job.budgets)
                assert not job.rows or context.params["rows"] == ",".join(job.rows)
                assert context.params["teachers"] == (job.teachers and not quick)
                assert Path(context.params["spec"]).resolve().is_file()
