"""The rooms of the package and the one-way streets between them (docs/architecture.md)."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "mtsldsl"
SPECS = {"language", "sharing", "diagnostics"}
"""What a spec is said in, without its text."""

REGISTRIES = {"methods", "datasets"}
"""What reaches methods and data sets by name: a registry of strings, and what every one says of itself. Not a folder of
one, which `test_a_folder_of_a_registry_is_reached_by_name` holds."""

STREETS: dict[str, set[str]] = {
    "diagnostics": set(),
    "syntax": {"diagnostics"},
    "language": {"diagnostics"},
    "sharing": {"diagnostics"},
    "methods": SPECS,
    "datasets": {"language"},
    "ir": {*SPECS, *REGISTRIES, "syntax"},
    "editing": {*SPECS, *REGISTRIES, "syntax", "ir"},
    "compare": {*SPECS, "methods", "syntax", "ir", "editing"},
    "codegen": {*SPECS, "methods", "syntax", "ir"},
    "tables": {"language", "diagnostics", "ir"},
    "folders": {"diagnostics", "tables"},
    "pages": {"sharing", "syntax", "ir"},
    "runtime.data": {"language", "diagnostics", "syntax", "datasets", "ir", "tables", "folders"},
    "runtime.objectives": {"language", "diagnostics", "ir", "runtime.data"},
    "runtime.network": {*SPECS, "ir", "editing", "codegen"},
    "runtime.learning": {*SPECS, "ir", "runtime.data", "runtime.objectives", "runtime.network"},
    "runtime.structure": {
        "sharing", "diagnostics", "methods", "ir", "editing", "runtime.data", "runtime.objectives", "runtime.network",
        "runtime.learning",
    },
    "runtime.run": {
        *SPECS, "methods", "syntax", "ir", "editing", "codegen", "runtime.data", "runtime.objectives",
        "runtime.network", "runtime.learning", "runtime.structure", "tables", "pages",
    },
    "runtime.studies": {
        *SPECS, "methods", "syntax", "ir", "editing", "runtime.data", "runtime.objectives", "runtime.network",
        "runtime.learning", "runtime.run", "pages",
    },
    "learners": {
        *SPECS, "methods", "ir", "runtime.data", "runtime.objectives", "runtime.network", "runtime.learning",
        "runtime.structure",
    },
    "loaders": {"diagnostics", "datasets", "ir", "tables", "folders", "runtime.data"},
    "cli": {
        *SPECS, *REGISTRIES, "syntax", "ir", "editing", "compare", "codegen", "tables", "folders", "pages",
        "runtime.data", "runtime.learning", "runtime.network", "runtime.run", "runtime.studies",
    },
}  # fmt: skip
"""What each room may import. `learners` and `loaders` are what the registries of methods and data sets reach by name:
all in their folders but `language.py`."""

GROUND: dict[str, set[str]] = {"records": set(), "seeds": set(), "on_demand": set(), "division": {"diagnostics"}}
"""Single modules that every room may stand on, and what these stand on."""

VERSION = "mtsldsl.__version__"
"""What all may have of the package itself, which hands on what its rooms have."""

BY_NAME = {
    "mtsldsl.codegen.knobs": {"mtsldsl.runtime"},  # what the code that it writes imports
    "mtsldsl.ir.model": {"mtsldsl.editing.rewrite"},  # `Spec.with_sharing`
    "mtsldsl.runtime.run.loggers": {"mtsldsl.loggers"},  # a group of entry points
}
"""What a module names in a string against the streets: a module, or a room with all in it."""

PUBLIC = {"", "__main__", "runtime", "runtime.similarity"}
"""Modules that only hand on what others have."""

DOORS = {"mtsldsl.syntax.recovery"}
"""Folders that are entered by their `__init__` alone."""


def module_name(path: Path) -> str:
    """`mtsldsl.ir.model`, or `mtsldsl.ir` for its `__init__.py`."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


@cache
def statements(path: Path) -> tuple[ast.AST, ...]:
    """The statements of a file, also those in others: where imports are."""
    found: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    for node in found:  # which grows
        for part in ("body", "handlers", "orelse", "finalbody", "cases"):
            found += getattr(node, part, ())
    return tuple(found)


@cache
def imported_modules(path: Path, *, for_types: bool = True) -> frozenset[str]:
    """The modules that a file imports, anywhere in it; those for type checkers alone only where asked for."""
    typing = {
        statement
        for test in statements(path)
        if isinstance(test, ast.If) and ast.unparse(test.test) == "TYPE_CHECKING"
        for statement in test.body
    }
    names: set[str] = set()
    for node in statements(path):
        if node in typing and not for_types:
            continue
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            module = str(node.module)
            whole = {f"{module}.{alias.name}" for alias in node.names}
            names.update(whole & {*MODULES, VERSION} or {module})
    return frozenset(names)


def circles(graph: dict[str, set[str]]) -> list[set[str]]:
    """The sets of more than one module that all lead to each other: strongly connected components, after Kosaraju."""
    seen: set[str] = set()
    order: list[str] = []

    def visit(node: str, edges: dict[str, set[str]], found: list[str]) -> None:
        stack = [(node, iter(sorted(edges[node])))]
        seen.add(node)
        while stack:
            here, following = stack[-1]
            after = next((each for each in following if each not in seen), None)
            if after is None:
                stack.pop()
                found.append(here)
            else:
                seen.add(after)
                stack.append((after, iter(sorted(edges[after]))))

    for node in graph:
        if node not in seen:
            visit(node, graph, order)
    backwards = {node: {other for other in graph if node in graph[other]} for node in graph}
    seen.clear()
    components = []
    for node in reversed(order):
        if node not in seen:
            found: list[str] = []
            visit(node, backwards, found)
            components.append(set(found))
    return [component for component in components if len(component) > 1]


def test_circles_are_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": set(), "f": {"f"}}
    assert circles(graph) == [{"a", "b", "c"}]


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {name: imported_modules(path, for_types=False) & MODULES.keys() for name, path in MODULES.items()}
    assert sum(map(len, graph.values())) > 500
    assert circles(graph) == []


def test_a_folder_with_a_door_is_entered_by_it_alone() -> None:
    by_the_window = [
        f"{name} imports {imported}"
        for name, path in MODULES.items()
        for imported in imported_modules(path)
        for door in DOORS
        if imported.startswith(f"{door}.") and not name.startswith(door)
    ]
    assert by_the_window == []


FOLDERS = {
    name.rpartition(".")[0] for name in MODULES if re.fullmatch(r"mtsldsl\.(methods|datasets)\.\w+\.language", name)
}
"""The folder of each method and data set."""

NAMED = {"methods.registry", "datasets.registry"}
"""Who names such a folder: the registries."""


def reached(path: Path) -> set[str]:
    """What a file imports, or names in a string as `import_module` takes it."""
    return imported_modules(path) | set(
        re.findall(r"""["'](mtsldsl(?:\.\w+)+)["']""", path.read_text(encoding="utf-8"))
    )


def strangers(name: str, modules: set[str]) -> list[str]:
    """Those of the modules that lie in a folder of a registry which is not that of the module of this name."""
    return [
        f"{name} reaches {module}"
        for module in sorted(modules)
        for folder in FOLDERS
        if f"{module}.".startswith(f"{folder}.") and not f"{name}.".startswith(f"{folder}.")
    ]


def test_a_folder_of_a_registry_is_reached_by_name() -> None:
    """The registry hands a method to who asks for one by its label; nobody else, another method included, names it."""
    assert {"mtsldsl.methods.mtsl", "mtsldsl.datasets.scenes"} <= FOLDERS
    found = {name: reached(path) for name, path in MODULES.items() if name.removeprefix("mtsldsl.") not in NAMED}
    assert [each for name, modules in found.items() for each in strangers(name, modules)] == []
    assert strangers("mtsldsl.ir.lower", {"mtsldsl.methods.mtsl.language"})
    assert strangers("mtsldsl.runtime.structure.phase", {"mtsldsl.methods.mtsl"})
    assert strangers("mtsldsl.methods.other.learner", {"mtsldsl.methods.mtsl.amalgamation"})
    assert not strangers(
        "mtsldsl.methods.mtsl.learner", {"mtsldsl.methods.mtsl.amalgamation", "mtsldsl.methods.registry"}
    )


def test_names_in_strings_are_reached_too(tmp_path: Path) -> None:
    file = tmp_path / "phase.py"
    file.write_text('from importlib import import_module\nimport_module("mtsldsl.methods.mtsl.learner")\n')
    assert "mtsldsl.methods.mtsl.learner" in reached(file)


def room_of(module: str) -> str:
    """The room of a module, such as `runtime.data`."""
    parts = module.split(".")[1:]
    if parts[:1] == ["runtime"]:
        return ".".join(parts[:2])
    if parts[:1] in (["methods"], ["datasets"]) and len(parts) == 3 and parts[-1] != "language":
        return "learners" if parts[0] == "methods" else "loaders"
    return parts[0] if parts else ""


STREETS_OF = STREETS | GROUND


@pytest.mark.parametrize("room", sorted(STREETS_OF))
def test_a_room_imports_only_along_the_one_way_streets(room: str) -> None:
    inside = {name: path for name, path in MODULES.items() if room_of(name) == room}
    assert inside
    allowed = {*STREETS_OF[room], *GROUND, room}
    against = [
        f"{name} imports {imported}"
        for name, path in inside.items()
        for imported in reached(path) - {VERSION}
        if imported.split(".")[0] == "mtsldsl"
        and room_of(imported) not in allowed
        and not f"{imported}.".startswith(tuple(f"{each}." for each in BY_NAME.get(name, ())))
    ]
    assert against == []


def test_every_street_is_used() -> None:
    used: dict[str, set[str]] = {}
    for name, path in MODULES.items():
        used.setdefault(room_of(name), set()).update(map(room_of, imported_modules(path)))
    assert {room: unused for room, to in STREETS_OF.items() if (unused := to - used[room])} == {}


def test_every_room_of_the_package_has_its_street() -> None:
    assert {room_of(name) for name in MODULES} == STREETS_OF.keys() | PUBLIC


OF_ONE_KIND = {"__init__", "language", "load", "learner", "registry"}
"""Names that a module has by its kind: one in each folder of a kind."""


def test_no_two_modules_have_one_name_without_need() -> None:
    names = [name.rpartition(".")[2] for name, path in MODULES.items() if path.stem not in OF_ONE_KIND]
    commands = {name.rpartition(".")[2] for name in MODULES if room_of(name) == "cli"}
    families = ("mtsldsl.ir.pedantic.", "mtsldsl.runtime.structure.similarities.")  # named for what they are about
    about = {name.rpartition(".")[2] for name in MODULES if name.startswith(families)}
    twice = {name for name in names if names.count(name) > 1} - commands - about
    assert twice == set()


LONGEST = 400
"""Lines of a module, which is one idea."""


def test_a_module_has_the_length_of_one_idea() -> None:
    lengths = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in MODULES.items()}
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}
    assert max(lengths.values()) > LONGEST / 2


HEAVY = {"torch", "torchmetrics", "torchjd", "safetensors"}


def test_torch_stays_in_the_runtime_the_learners_and_the_loaders() -> None:
    leaks = [
        name
        for name, path in MODULES.items()
        if any(imported.split(".")[0] in HEAVY for imported in imported_modules(path))
        and not room_of(name).startswith("runtime")
        and room_of(name) != "learners"
        and not (room_of(name) == "loaders" and name.endswith(".load"))
        and name != "mtsldsl"  # for type checkers alone, which the next test shows
    ]
    assert leaks == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["check", "specs/scenes.mtl"],
        ["compile", "specs/scenes.mtl"],
        ["show", "specs/scenes.mtl"],
        ["fmt", "--check", "specs/scenes.mtl"],
        ["explain", "MTL405"],
        ["explain", "structure"],
        ["diff", "specs/scenes.mtl", "specs/scenes.mtl"],
        ["merge", "specs/scenes.mtl", "specs/scenes.mtl", "specs/scenes.mtl"],
        ["completion", "bash"],
        ["git", "install", "--help"],
        *([command, "--help"] for command in ("new", "log", "baselines", "affinity", "group")),
    ],
    ids=" ".join,
)
def test_a_command_that_does_not_compute_never_loads_torch(arguments: list[str], tmp_path: Path) -> None:
    if arguments[0] == "compile":
        arguments = [*arguments, "-o", str(tmp_path)]
    program = (
        "import sys\n"
        "from mtsldsl.cli import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "assert 'torch' not in sys.modules, 'torch is loaded'\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PACKAGE.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_importing_the_package_is_light() -> None:
    program = "import sys, mtsldsl; heavy = {'torch', 'numpy', 'lark', 'jinja2', 'rich'} & set(sys.modules); assert not heavy, heavy"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
