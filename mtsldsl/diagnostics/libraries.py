"""Libraries that cannot be imported, as what a person can mend. Nothing here loads one before it is asked to."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module, metadata
from traceback import walk_tb

from mtsldsl.diagnostics.diagnostic import MtlError

TENSORS = ("torch", "safetensors.torch")
METRICS = ("torchmetrics.classification",)
CURVES = ("matplotlib.figure", "matplotlib.backends.backend_svg")
ONNX = ("onnxscript", "onnxruntime")
CORRUPTIONS = ("imagecorruptions",)

_RAISED_BY_BROKEN_LIBRARIES = (
    ImportError,  # a part that is missing, or one that another version had
    OSError,  # a shared library that cannot be loaded
    RuntimeError,  # torchvision beside a torch that it was not built for
    AttributeError,
    LookupError,
    NameError,
    SyntaxError,  # written for another Python
    TypeError,
    ValueError,  # built for another numpy
)


def require(modules: tuple[str, ...], extra: str | None = None) -> None:
    """Import these modules, which may be those of an `extra` of mtsldsl. Raises MtlError MTL808 where one cannot be."""
    # torchmetrics imports matplotlib too; it tells of a cache that it cannot keep, which is no matter here
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    for module in modules:
        with importing(module.partition(".")[0], extra):
            import_module(module)


@contextmanager
def importing(library: str, extra: str | None = None) -> Iterator[None]:
    """Raises MtlError MTL808, which names what is to be mended, where the library cannot be imported inside.

    A LookupError or ValueError of mtsldsl's own code is let through: it says nothing of the library.
    """
    try:
        yield
    except _RAISED_BY_BROKEN_LIBRARIES as error:
        if isinstance(error, LookupError | ValueError) and _running(error)[-1] == "mtsldsl":
            raise  # a fault of the code here
        failing = _failing(library, error)
        said = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
        fails = "" if failing == library else f"`{failing}`, which it imports, fails with "
        cause = f"`{library}` cannot be imported: {fails}{said}"
        raise MtlError.of("MTL808", cause, _remedy(failing, error, extra)) from error


def _failing(library: str, error: BaseException) -> str:
    """The package that is at fault: the one that is missing, or else the last whose own code was running.

    torch is passed over where it was asked for something by a package that does not fit it.
    """
    if isinstance(error, ImportError) and error.name:
        return error.name.partition(".")[0]
    blamed = [name for name in _running(error) if name not in {*sys.stdlib_module_names, "mtsldsl", "torch"}]
    return blamed[-1] if blamed else library


def _running(error: BaseException) -> list[str]:
    """The packages whose code was running, the innermost last."""
    return [str(frame.f_globals.get("__name__")).partition(".")[0] for frame, _ in walk_tb(error.__traceback__)]


def _remedy(failing: str, error: BaseException, extra: str | None) -> str:
    if extra and isinstance(error, ModuleNotFoundError):
        return f"pip install 'mtsldsl[{extra}]'"
    works = f'see that `python -c "import {failing}"` works'
    if isinstance(error, ModuleNotFoundError):
        return f"{works}: it is not installed"
    beside = "" if failing == "torch" else f" that fits torch {metadata.version('torch')}"
    return f"{works}: install the version of {failing}{beside}, or remove it if nothing needs it"
