"""`mtsldsl train`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mtsldsl.cli.options import device, no_cache, overrides, say_what_is_left_out, threads, workers
from mtsldsl.cli.output import say
from mtsldsl.cli.typed_command import typed
from mtsldsl.runtime.run.last_words import LastWords

if TYPE_CHECKING:
    from mtsldsl.ir import Spec
    from mtsldsl.runtime.run.in_place import InPlace


MOST_PROCESSES = 64
"""Of one machine."""


@click.command()
@click.argument("spec", required=False, type=click.Path(path_type=Path))
@overrides
@device
@threads
@no_cache
@workers
@click.option(
    "--nproc",
    type=click.IntRange(1, MOST_PROCESSES),
    default=1,
    metavar="N",
    help="Train in N processes of this machine, each on its part of every batch.",
)
@click.option(
    "--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Where run folders go."
)
@click.option(
    "--checkpoint-every",
    type=click.FloatRange(0),
    default=10.0,
    show_default=True,
    metavar="MINUTES",
    help="Also write a checkpoint after so long within an epoch; 0: after every step.",
)
@click.option("--resume", metavar="RUN", type=click.Path(path_type=Path), help="Go on with this run folder.")
@click.option("--structure", type=click.Choice(["spec", "none"]), default="spec", help="none: train a static network.")
@click.option("--sharing", metavar="each|all|FILE", help="Start from this sharing; FILE is any spec with one.")
@click.option(
    "--weights",
    metavar="RUN|FILE",
    type=click.Path(path_type=Path),
    help="Begin with the best weights of a run, or a file of `export --to safetensors`.",
)
@click.option("--in-place", is_flag=True, help="Also write the evolving sharing into SPEC itself.")
@click.option("--dry-run", is_flag=True, help="Make a few steps, tell what the run would take, and write nothing.")
@click.option(
    "--log",
    "loggers",
    multiple=True,
    metavar="NAME",
    help="Also log to tensorboard, csv, or what a package brings; several times for several.",
)
@click.option("--json", "as_json", is_flag=True, help="Print every event as a line of JSON.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but warnings and errors.")
@LastWords()
def command(
    spec: Path | None,
    overrides: dict[str, str],
    device: str,
    threads: int | None,
    no_cache: bool,
    workers: int,
    nproc: int,
    runs: Path,
    checkpoint_every: float,
    resume: Path | None,
    structure: str,
    sharing: str | None,
    weights: Path | None,
    in_place: bool,
    dry_run: bool,
    loggers: tuple[str, ...],
    as_json: bool,
    quiet: bool,
) -> None:
    """Train SPEC (by default the one last compiled) and let its sharing evolve; writes runs/<spec>/<n>/."""
    if resume and (spec or overrides or sharing or weights or structure != "spec" or in_place):
        raise click.UsageError("--resume goes on with the run's own spec: give neither a spec nor changes to it")
    if in_place and sharing:
        raise click.UsageError("--in-place follows the sharing that the file has: leave --sharing out")
    if dry_run and (resume or in_place or nproc > 1 or loggers):
        given = "--resume" if resume else "--in-place" if in_place else "--nproc" if nproc > 1 else "--log"
        raise click.UsageError(
            f"--dry-run tries the beginning of a run in one process and keeps nothing: leave {given} out"
        )
    if as_json and quiet:
        raise click.UsageError("--json prints and --quiet does not: give one of them")
    from mtsldsl.diagnostics.libraries import TENSORS, require

    if nproc > 1:
        from mtsldsl.editing import load

        started = load(spec, overrides) if spec and structure == "spec" else None  # what is wrong is said at once
        require(TENSORS)
        from mtsldsl.runtime.run.processes import require_even_shares, start_processes

        if started is not None:
            require_even_shares(started, nproc)
        options = {
            "--sharing": sharing,
            "--weights": weights,
            "--resume": resume,
            "--threads": threads,
            "--workers": workers,
            "--checkpoint-every": checkpoint_every,
        }
        flags = {"--in-place": in_place, "--json": as_json, "--quiet": quiet, "--no-cache": no_cache}
        words = [*([str(spec)] if spec else []), "--nproc", "1"]  # whatever the environment says
        words += [word for pair in overrides.items() for word in ("--set", "=".join(pair))]
        words += [word for name in loggers for word in ("--log", name)]
        words += [word for name, value in options.items() if value is not None for word in (name, str(value))]
        words += [name for name, given in flags.items() if given]
        words += ["--device", device, "--runs", str(runs), "--structure", structure]
        sys.exit(start_processes(nproc, ["train", *words]))
    display = "json" if as_json else "quiet" if quiet else "auto"
    if resume:
        require(TENSORS)
        from mtsldsl.runtime.run.launch import launch, said_of_ended
        from mtsldsl.runtime.run.session import Session

        if (said := said_of_ended(resume)) is not None:
            if not quiet:
                say(said, err=as_json)
            return
        session = Session.resume(resume, device, display, loggers)
        session.cache, session.workers = not no_cache, workers
        session.checkpoint_every = 60 * checkpoint_every
        launch(session, threads)
        return
    if spec is None:
        spec = _last_compiled()
        if display == "auto":
            say(f"training {spec}, the spec last compiled")
    from mtsldsl.editing import load
    from mtsldsl.editing.baseline import load_static, with_sharing_of
    from mtsldsl.syntax import read_source

    chosen = load_static(spec, overrides) if structure == "none" else load(spec, overrides)
    if structure != "none":
        say_what_is_left_out(read_source(spec), overrides)
    if sharing:
        chosen = with_sharing_of(chosen, sharing)
    own = _in_place(spec, chosen) if in_place else None
    require(TENSORS)
    from mtsldsl.runtime.run.initial_weights import InitialWeights

    begun = InitialWeights.of(weights) if weights else None
    if dry_run:
        from mtsldsl.runtime.run.dry_run import DryRun

        trial = DryRun.create(chosen, device, display)
        trial.weights = begun or trial.weights
        trial.cache, trial.workers = not no_cache, workers
        trial.run(threads)
        return
    from mtsldsl.runtime.run.launch import launch
    from mtsldsl.runtime.run.session import Session

    session = Session.create(chosen, spec.stem, runs, device, display, loggers)
    session.weights, session.weights_from = begun or session.weights, weights
    session.in_place = own if session.ranks.rank == 0 else None
    session.cache, session.workers = not no_cache, workers
    session.checkpoint_every = 60 * checkpoint_every
    session.command = typed(click.get_current_context()).replace("--nproc 1", f"--nproc {session.ranks.size}")
    session.threads = threads
    session.write_request()
    launch(session, threads)


def _in_place(path: Path, chosen: Spec) -> InPlace:
    """The file to keep up to date with a run of `chosen`, which must begin as the file says."""
    from mtsldsl.editing import load
    from mtsldsl.runtime.run.in_place import InPlace

    if chosen.structure is None:
        raise click.UsageError(
            "--in-place writes down how the sharing evolves, and without a `structure` it does not: leave it out"
        )
    here = load(path)
    changed = "backbone" if here.layers != chosen.layers else "sharing" if here.sharing != chosen.sharing else None
    if changed:
        raise click.UsageError(
            f"--in-place follows the {changed} that the file has, and --set changes it: set it in {path} itself"
        )
    return InPlace(path, chosen.sharing)


def _last_compiled() -> Path:
    from mtsldsl.codegen.package_files import last_compiled

    path = last_compiled(Path("generated"))
    if path is None:
        raise click.UsageError("no spec is given, and generated/ holds none that was compiled: name a .mtl file")
    return path
