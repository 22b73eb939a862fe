"""Generated code as it is run: texts that were compared with their spec first, and never byte code."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import attrs

from mtsldsl.codegen import compile_spec
from mtsldsl.diagnostics import MtlError
from mtsldsl.ir import Spec
from mtsldsl.syntax.files import is_file

PACKAGE = "mtsldsl_run"
"""What generated code is called while it runs."""


@attrs.frozen
class Code:
    """A generated `train.py` and the `model.py` beside it: their texts by path, the second before the first."""

    texts: Mapping[Path, str]

    @classmethod
    def read(cls, script: Path, spec: Spec, problem: str, remedy: str) -> Code:
        """The code of a `train.py`, which is what `spec` compiles to.

        Raises MtlError MTL702 where it is not: the path of the file and the problem, then the remedy.
        """
        written = compile_spec(spec)
        texts = {script.with_name("model.py"): written["model.py"], script: written["train.py"]}
        for path, text in texts.items():
            if not is_file(path) or path.read_text(encoding="utf-8", errors="replace") != text:
                raise MtlError.of("MTL702", f"{path} {problem}", remedy)
        return cls(texts)

    @classmethod
    def of(cls, spec: Spec) -> Code:
        """What `spec` compiles to, which no file holds."""
        written = compile_spec(spec)
        return cls({Path(name): written[name] for name in ("model.py", "train.py")})

    def run(self) -> ModuleType:
        """The module that `train.py` is. Nothing is looked for in its folder, but for the text of a traceback."""
        package = ModuleType(PACKAGE)
        package.__path__ = []
        sys.modules[PACKAGE] = package
        for path, text in self.texts.items():  # the second imports the first
            module = ModuleType(f"{PACKAGE}.{path.stem}")
            module.__file__ = str(path)
            module.__package__ = PACKAGE
            sys.modules[module.__name__] = module
            exec(compile(text, str(path), "exec"), module.__dict__)
        return module
