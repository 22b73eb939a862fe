"""Checkpoints: the spec and every part of the training as safetensors and JSON, with digests; nothing is unpickled."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Collection, Mapping
from contextlib import suppress
from hashlib import file_digest
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mtsldsl.diagnostics import MtlError, Source
from mtsldsl.diagnostics.counted import counted
from mtsldsl.ir import Spec
from mtsldsl.ir.wiring import copies
from mtsldsl.runtime.learning.saved import Saved
from mtsldsl.runtime.learning.state import restore, saved
from mtsldsl.runtime.learning.training import Training
from mtsldsl.runtime.network.module_state import stored
from mtsldsl.runtime.run.display import warn
from mtsldsl.runtime.run.epoch import EpochLosses
from mtsldsl.runtime.run.folder import RunFolder, place_of, write_source
from mtsldsl.sharing import Copy
from mtsldsl.sharing.component import HEADS
from mtsldsl.syntax.files import encoded, is_file

WEIGHTS = "weights.safetensors"

MEAN = "mean"
"""What the best weights of the whole network are called; a task's own stand apart, by the task's name."""


def keep_weights(folder: RunFolder, training: Training, tasks: Collection[str], source: Source) -> None:
    """Keep the present weights of all that the predictions of `tasks` depend on as the best ones of the network, with
    the text of the spec as it is at present.

    What other tasks depend on stays as it was: they share nothing with these, and have an epoch of their own.
    """
    if tasks:
        keep_network(folder.best / MEAN, *training.presented(), tasks, source)


def keep_network(place: Path, spec: Spec, model: nn.Module, tasks: Collection[str], source: Source) -> None:
    """The same of any network: its weights and its text, whose names begin with that of the place."""
    if not tasks:
        return
    path, kept = place.with_name(f"{place.name}.{WEIGHTS}"), _read_by(spec, model, tasks)
    if len(tasks) < len(spec.tasks):
        kept = load_file(path) | kept
    save_tensors(path, kept)
    write_source(place.with_name(f"{place.name}.mtl"), source)


def keep_own_weights(folder: RunFolder, training: Training, tasks: Collection[str], source: Source) -> None:
    """Keep the present weights of all that the prediction of each of `tasks` depends on as the best ones of that task.

    Tasks that differ in their heads alone get copies of one file, which has the heads of all of them.
    """
    alike: dict[frozenset[Copy], list[str]] = {}
    for task in tasks:
        trunk = frozenset(copy for copy in copies(training.present) if task in copy.component and copy.layer != HEADS)
        alike.setdefault(trunk, []).append(task)
    for found in alike.values():
        folder.own_best.mkdir(exist_ok=True)
        first, *others = (folder.own_best / f"{task}.{WEIGHTS}" for task in found)
        save_tensors(first, _read_by(*training.presented(), found))
        for other in others:
            copy_whole(first, other)
    if training.present is not training.spec:  # another epoch's network is another one
        for task in tasks:
            write_source(folder.own_best / f"{task}.mtl", source)


def _read_by(spec: Spec, model: nn.Module, tasks: Collection[str]) -> dict[str, Tensor]:
    """The tensors that the predictions of `tasks` depend on, by name."""
    prefixes = [f"{copy.name}." for copy in copies(spec) if not copy.component.isdisjoint(tasks)]
    return {name: value for name, value in model.state_dict().items() if name.startswith(tuple(prefixes))}


def save_tensors(path: Path, state: Mapping[str, Tensor]) -> None:
    """The tensors by name as a safetensors file, which is there whole or not at all.

    Raises MtlError MTL703 where it cannot be written.
    """
    temporary = _partial(path)
    try:
        save_file(stored(state), str(temporary))
    except SafetensorError as problem:
        cause = f"{path} cannot be written: {problem}"
        raise MtlError.of("MTL703", cause, "check the folder, its permissions and the space on the disk") from None
    temporary.replace(path)


def copy_whole(source: Path, target: Path) -> None:
    """Put a copy of a file in the place of another at once."""
    temporary = _partial(target)
    shutil.copyfile(source, temporary)
    temporary.replace(target)


def _partial(path: Path) -> Path:
    """Where a file is written before it is moved into its place; what a kill has left there is gone."""
    temporary = path.with_name(f".{path.name}.partial")
    temporary.unlink(missing_ok=True)
    return temporary


def load_weights(path: Path, model: nn.Module, *, whole: bool = True) -> None:
    """Fill `model` from a file of its tensors by name, or those parts that it holds where it need not be `whole`.

    Raises MtlError MTL805 where names or shapes do not fit.
    """
    try:
        if path.exists() and not is_file(path):
            raise OSError("it is no file")
        state = load_file(str(path))
    except (OSError, SafetensorError) as problem:
        raise MtlError.of("MTL805", f"`{path}` cannot be read: {problem}", "name a weights file of a run") from problem
    expected = model.state_dict()
    missing = sorted(expected.keys() - state.keys()) if whole else []
    unknown = sorted(state.keys() - expected.keys())
    wrong = sorted(name for name in expected.keys() & state.keys() if expected[name].shape != state[name].shape)
    if missing or unknown or wrong:
        first = (missing + unknown + wrong)[0]
        raise MtlError.of(
            "MTL805",
            f"the weights of `{path}` are of another network: "
            f"{counted(len(missing), 'tensor is', 'tensors are')} missing, "
            f"{len(unknown)} unknown, {len(wrong)} of another shape, the first is `{first}`",
            "use the spec that stands beside the weights",
        )
    model.load_state_dict(state, strict=whole)


_WRITTEN = re.compile(r"(\.(partial|outdated)-)?epoch-[0-9]+(-step-[0-9]+)?")
"""What the folder of a checkpoint is called; what else lies beside it is a person's own."""

STATE, DIGESTS = "state.json", "digests.json"

KEPT = "kept~"
"""How the names of the files of a checkpoint begin that have the weights which were the best until then; the rest is
where they are in the run, with `~` for `/`: a folder more takes as long as all these."""

_OF_KEPT = re.compile(rf"([^.].*?)\.({re.escape(WEIGHTS)}|mtl)")
"""What files of such weights, and of their specs, are called; others are a person's own."""

UNDER_WAY = "epoch"
"""The part of a checkpoint in the midst of an epoch that has the losses of its steps."""

VERSION = 2
"""Of the layout of a checkpoint; version 1 had a pickled `state.pt`."""


def save_checkpoint(
    folder: RunFolder, training: Training, events: int, before: Path | None = None, losses: EpochLosses | None = None
) -> Path:
    """Write a checkpoint of `checkpoints`, drop all but that and the one `before`, and give its path; `losses` are
    those of the steps of an epoch that is not over.

    It holds the spec, the tensors of every part of the training that has some as `<part>.safetensors`, their facts and
    the length in bytes of the event log as `state.json`, the digests of these files, and in `kept` the best weights so
    far, as what they are at the next one may be written before that is.
    """
    final = folder.checkpoint_after(training.epoch, training.batches)
    temporary = folder.checkpoints / f".partial-{final.name}"
    if temporary.exists():
        shutil.rmtree(temporary)
    temporary.mkdir()
    (temporary / "spec.mtl").write_bytes(encoded(training.spec.source))
    parts = saved(training) | ({} if losses is None else {UNDER_WAY: losses.saved()})
    for name, part in parts.items():
        if part.tensors:
            save_tensors(temporary / f"{name}.safetensors", part.tensors)
    facts = {name: part.facts for name, part in parts.items() if part.facts}
    state = {"version": VERSION, "events": events, "parts": list(parts), "facts": facts}
    (temporary / STATE).write_text(json.dumps(state, indent=1) + "\n", encoding="utf-8")
    for path in _kept_in(folder, training.spec.sharing.tasks):
        name = f"{KEPT}{path.relative_to(folder.path).as_posix().replace('/', '~')}"
        _copy(path, temporary / name, None if before is None else before / name)
    digests = json.dumps(_digests(temporary, before), indent=1) + "\n"
    (temporary / DIGESTS).write_text(digests, encoding="utf-8")
    folder.replace_folder(temporary, final)
    for child in folder.checkpoints.iterdir():
        ours = _WRITTEN.fullmatch(child.name) and (child.name.startswith(".") or is_file(child / DIGESTS))
        if child not in (final, before) and ours and _is_own_folder(child):
            shutil.rmtree(child)
    return final


def _kept_in(run: RunFolder, tasks: Collection[str]) -> list[Path]:
    """The files of weights that a run keeps as the best, and of their specs; what else lies there is a person's own."""
    own = ((run.best, {MEAN}), (run.own_best, set(tasks)), (run.beside, None))
    found = []
    for kept, names in own:
        for path in kept.iterdir() if _is_own_folder(kept) else ():
            of_kept = _OF_KEPT.fullmatch(path.name)
            if of_kept and (names is None or of_kept[1] in names) and path.is_file() and not path.is_symlink():
                found.append(path)
    return sorted(found)


def _is_own_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _copy(path: Path, place: Path, before: Path | None) -> None:
    """Copy a file; where it was copied `before` and is still the same, have that in this place too, as files of weights
    are replaced, and never written into. The copy does not suffer where the file does."""
    if before is not None and before.is_file() and _unchanged(path, before):
        with suppress(OSError):  # a file system without links
            os.link(before, place, follow_symlinks=False)
            return
    shutil.copy2(path, place, follow_symlinks=False)


_COARSEST = 2 * 10**9
"""Nanoseconds between the times that a file system can tell apart, at most."""


def _unchanged(path: Path, copy: Path) -> bool:
    """Whether a file is what it was when it was copied. Its time says so where it was some time old by then; else what
    came in the same moment could have it too."""
    now, then = path.stat(), copy.stat()
    if (then.st_size, then.st_mtime_ns) != (now.st_size, now.st_mtime_ns):
        return False
    copied = (copy.parent / STATE).stat().st_mtime_ns
    return now.st_mtime_ns + _COARSEST < copied or _digest(path) == _digest(copy)


def forget_kept(folder: RunFolder, tasks: Collection[str]) -> None:
    """Drop the weights that a run that begins again has kept so far."""
    for path in _kept_in(folder, tasks):
        path.unlink()


def give_back_kept(checkpoint: Path, folder: RunFolder, tasks: Collection[str]) -> None:
    """Have those weights as the best that were so when the checkpoint was taken."""
    digests = json.loads((checkpoint / DIGESTS).read_text(encoding="utf-8"))
    then = {_place_of_kept(name, checkpoint): name for name in digests if name.startswith(KEPT)}
    for path in _kept_in(folder, tasks):
        if path not in then:
            path.unlink()
    for place, name in then.items():
        if not (is_file(place) and _digest(place) == digests[name]):
            place.parent.mkdir(parents=True, exist_ok=True)
            copy_whole(checkpoint / name, place)


def _place_of_kept(name: str, checkpoint: Path) -> Path:
    """Where a file of the best weights lies that a checkpoint has. Raises MtlError MTL805 for one that no run has."""
    run = RunFolder(checkpoint.parents[1])
    place = run.path / name.removeprefix(KEPT).replace("~", "/")
    if place.parent not in (run.best, run.own_best, run.beside) or not _OF_KEPT.fullmatch(place.name):
        raise _damaged(checkpoint, f"`{name}` is no file that a run has")
    return place


def _digests(checkpoint: Path, before: Path | None) -> dict[str, str]:
    """Those of its files, by name. What is the same file as in the one `before` is not read again."""
    try:
        known = {} if before is None else json.loads((before / DIGESTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}
    found = {}
    for path in sorted(checkpoint.iterdir()):
        other = None if before is None or path.name not in known else before / path.name
        same = other is not None and other.is_file() and path.samefile(other)
        found[path.name] = known[path.name] if same else _digest(path)
    return found


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def length_of_events(checkpoint: Path) -> int:
    """How long the event log was in bytes when the checkpoint was written. Raises MtlError MTL805 where the checkpoint
    is not as it was written, or of another version of the program."""
    return int(_state(checkpoint)["events"])


def _state(checkpoint: Path) -> dict[str, Any]:
    """What `state.json` says, once the digests of all files are right."""
    if not is_file(checkpoint / DIGESTS):
        raise _of_another_version(checkpoint)
    try:
        digests = json.loads((checkpoint / DIGESTS).read_text(encoding="utf-8"))
        if not isinstance(digests, dict) or any(Path(name).name != name for name in digests):
            raise _damaged(checkpoint, f"{DIGESTS} has no digests of its files")
        damaged = [name for name in digests if not _is_whole(checkpoint, name, digests[name])]
        if damaged or STATE not in digests:
            raise _damaged(checkpoint, f"{', '.join(damaged) or STATE} is not what was written")
        state = json.loads((checkpoint / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as problem:
        raise _damaged(checkpoint, str(problem)) from problem
    if isinstance(state, dict) and state.get("version", VERSION) != VERSION:
        raise _of_another_version(checkpoint)
    if not _is_state(state):
        raise _damaged(checkpoint, f"{STATE} does not say what a run writes there")
    return {**state}


def _is_whole(checkpoint: Path, name: str, digest: object) -> bool:
    """Whether a file is what was written; weights that are kept as the best need be so in one of their two places."""
    places = [checkpoint / name, *([_place_of_kept(name, checkpoint)] if name.startswith(KEPT) else [])]
    return any(is_file(place) and _digest(place) == digest for place in places)


def _is_state(state: Any) -> bool:
    """Whether this is what `save_checkpoint` writes, as far as its kinds of values go."""
    kinds = {"version": int, "events": int, "parts": list, "facts": dict}
    if not isinstance(state, dict) or not all(isinstance(state.get(key), kind) for key, kind in kinds.items()):
        return False
    parts = all(isinstance(name, str) and Path(name).name == name for name in state["parts"])
    return parts and state["events"] >= 0 and all(isinstance(each, dict) for each in state["facts"].values())


def _of_another_version(checkpoint: Path) -> MtlError:
    cause = f"`{checkpoint}` was written by another version of mtsldsl"
    return MtlError.of("MTL805", cause, "go on with the version that it was trained with, or train anew")


def _damaged(checkpoint: Path, reason: str) -> MtlError:
    cause = f"the checkpoint `{checkpoint}` is damaged: {reason}"
    return MtlError.of("MTL805", cause, "copy the run folder once more from where it is whole, or train anew")


def require_whole(checkpoint: Path) -> None:
    """Raise MtlError MTL805 where a checkpoint is not as it was written."""
    _state(checkpoint)


def newest_whole(folder: RunFolder) -> Path | None:
    """The latest checkpoint that is as it was written, None where a run has none yet; a person is told of those that
    are not. Raises MtlError MTL805 of the latest where none is."""
    damaged: list[MtlError] = []
    for checkpoint in folder.latest_checkpoints():
        try:
            require_whole(checkpoint)
        except MtlError as problem:
            damaged.append(problem)
            continue
        for each in damaged:
            warn(f"warning: {each.diagnostics[0].cause}; the run goes on from `{checkpoint.name}`")
        return checkpoint
    if damaged:
        raise damaged[0]
    return None


def restore_checkpoint(checkpoint: Path, training: Training) -> Saved | None:
    """Bring a fresh `training` of the checkpoint's own spec to where the checkpoint was taken; what it has of the steps
    of an epoch that was not over.

    Raises MtlError MTL805 where the checkpoint is damaged, or of another network.
    """
    state = _state(checkpoint)
    load_weights(checkpoint / WEIGHTS, training.model)
    try:
        parts = {}
        for name in state["parts"]:
            path = checkpoint / f"{name}.safetensors"
            tensors = load_file(str(path)) if name != "weights" and is_file(path) else {}
            parts[name] = Saved(tensors, state["facts"].get(name, {}))
        under_way = parts.pop(UNDER_WAY, None)
        restore(training, parts)
    except _MISFITS as problem:
        said = str(problem).strip().partition("\n")[0]
        raise _damaged(checkpoint, f"what it says is not of this run: {type(problem).__name__}: {said}") from problem
    if (training.epoch, training.batches) != place_of(checkpoint):
        raise _damaged(checkpoint, f"it was taken after epoch {training.epoch}, step {training.batches}")
    return under_way


_MISFITS = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError),
    SafetensorError,
)
"""What comes of values of other kinds, or of tensors of other shapes, than a run writes."""
