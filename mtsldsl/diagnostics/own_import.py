"""How a person's own Python is found and imported: as the text of its files, never byte code, and nothing that lies in
a run folder, which may be from elsewhere."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader, SourcelessFileLoader
from pathlib import Path
from types import CodeType, ModuleType

_INSTALLED = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
"""What lies there is left to Python."""


def run_folder_of(place: Path) -> Path | None:
    """The run folder that a place is in, or is; None where it is in none. One is known by its spec with its events, or
    with what else is needed to build its network."""
    place = place.resolve()
    return next((each for each in (place, *place.parents) if _is_run(each)), None)


def _is_run(folder: Path) -> bool:
    if not (folder / "spec.mtl").is_file():
        return False
    marks = ("events.jsonl", "best/mean.mtl")
    return any((folder / name).exists() for name in marks) or any(folder.glob("checkpoints/epoch-*/spec.mtl"))


@contextmanager
def own_imports(spec_file: str) -> Iterator[Sequence[Path]]:
    """While open, modules are found in the working folder and in that of the spec too, searched last and in this order,
    but for those that are in a run folder, which it gives. Outside of what is installed they are texts."""
    wanted = list(dict.fromkeys((Path.cwd(), Path(spec_file).parent.resolve())))
    left_out = [folder for folder in wanted if run_folder_of(folder) is not None]
    for folder in wanted:
        known = str(folder) in sys.path or (folder == Path.cwd() and "" in sys.path)
        if not known and folder not in left_out:
            sys.path.append(str(folder))
    finder = _Texts()
    sys.meta_path.insert(sys.meta_path.index(PathFinder), finder)
    try:
        yield left_out
    finally:
        sys.meta_path.remove(finder)


def record_of_module(name: str, spec_file: str | None = None) -> dict[str, str | None]:
    """The file of a module and the SHA-256 of it, of a text that is imported already as it was compiled; None where it
    has none. What is not imported is looked for as one that the spec of a file names, and nothing runs for that."""
    module = sys.modules.get(name)
    if module is None and spec_file is not None:
        file, loader = _located(name, spec_file), None
    else:
        file, loader = getattr(module, "__file__", None), getattr(getattr(module, "__spec__", None), "loader", None)
    if isinstance(loader, _Text) and loader.sha256 is not None:
        return {"file": file, "sha256": loader.sha256}
    return record_of_file(file)


def record_of_file(file: str | None) -> dict[str, str | None]:
    """A file of code and the SHA-256 of it; None of both where there is none."""
    return {"file": file, "sha256": None if file is None else sha256(Path(file).read_bytes()).hexdigest()}


def _located(name: str, spec_file: str) -> str | None:
    found, path = None, None
    parts = name.split(".")
    if not all(part.isidentifier() for part in parts):
        return None
    with own_imports(spec_file):
        for number in range(len(parts)):
            found = _found(".".join(parts[: number + 1]), path)
            if found is None or (found.submodule_search_locations is None and number + 1 < len(parts)):
                return None
            path = found.submodule_search_locations
    return found.origin if found is not None and found.has_location else None


def _found(name: str, path: Sequence[str] | None) -> ModuleSpec | None:
    finders = (each for each in sys.meta_path if hasattr(each, "find_spec"))  # some of old have none
    try:
        return next((spec for each in finders if (spec := each.find_spec(name, path)) is not None), None)
    except ImportError:  # which importing it raises too
        return None


class _Text(SourceFileLoader):
    """A module's text, compiled as it is read: byte code is neither taken nor written."""

    sha256: str | None = None

    def get_code(self, fullname: str) -> CodeType | None:
        text = self.get_data(self.path)
        self.sha256 = sha256(text).hexdigest()
        code: CodeType = self.source_to_code(text, self.path)
        return code


class _Texts(MetaPathFinder):
    """Finds what Python would, as texts. Raises ImportError where that is in a run folder, or byte code alone."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        found = PathFinder.find_spec(fullname, path, target)
        if found is None:
            return None
        origin = found.origin if found.has_location else None
        for place in (*([origin] if origin else []), *(found.submodule_search_locations or ())):
            run = run_folder_of(Path(place))
            if run is not None:
                raise ImportError(f"{place} is in the run folder {run}, of which no module is run")
        if origin is not None and type(found.loader) is SourceFileLoader and not origin.startswith(_INSTALLED):
            found.loader = _Text(fullname, origin)
        if origin is not None and isinstance(found.loader, SourcelessFileLoader) and not origin.startswith(_INSTALLED):
            raise ImportError(f"{origin} is byte code without its text, which is not run")
        return found
