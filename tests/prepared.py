"""Commands as processes of their own, which a server forks that has imported torch already: importing it would take most
of the time of a test that trains little.

Each has its own arguments, environment, folder, outputs and exit status, and ends as any process does, but that nothing
is taken apart at its end, which would cost half a second. What it has not of its own is the seed of its hashes, the
threads' waiting and all else that is settled while Python and torch start: a test of that starts a process from nothing.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import pkgutil
import pty
import runpy
import subprocess
import sys
import tempfile
import threading
import tty
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

LIBRARIES = (
    "torch._dynamo", "torchmetrics.classification", "torchjd.aggregation", "matplotlib.figure", "matplotlib.backends.backend_svg",
)  # fmt: skip
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}


def run(
    *words: str, cwd: Path | None = None, errors: str = "strict", **variables: str
) -> subprocess.CompletedProcess[str]:
    """`python` with these words: `-m` and a module, `-c` and a program, or a script; then their arguments."""
    with tempfile.TemporaryDirectory() as folder:
        outputs = [str(Path(folder, name)) for name in ("stdout", "stderr")]
        status = _status(words, cwd, variables, outputs)
        said = [Path(output).read_bytes().decode("utf-8", errors) for output in outputs]
    return subprocess.CompletedProcess(words, status, *said)


def run_on_terminal(*words: str, cwd: Path | None = None, **variables: str) -> tuple[int, str]:
    """The same, with both outputs on a terminal: the exit status, and all that the terminal was sent."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)  # so that it makes no other ends of lines
    sent: list[bytes] = []
    reader = threading.Thread(target=lambda: sent.extend(_until_closed(ours)))
    reader.start()
    try:
        status = _status(words, cwd, {"TERM": "xterm", **variables}, [os.ttyname(theirs)] * 2)
    finally:
        os.close(theirs)
        reader.join()
        os.close(ours)
    return status, b"".join(sent).decode("utf-8", "surrogateescape")


def _until_closed(terminal: int) -> Iterator[bytes]:
    with suppress(OSError):  # which is how Linux says that nobody has it open
        while part := os.read(terminal, 1 << 16):
            yield part


def _status(words: Sequence[str], cwd: Path | None, variables: dict[str, str], outputs: list[str]) -> int:
    environment = {**os.environ, **ONE_THREAD, **variables}
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(json.dumps([words, str(cwd or Path.cwd()), environment, outputs]) + "\n")
    server.stdin.flush()
    return int(server.stdout.readline())


@cache
def _server() -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.prepared"]
    place, environment = Path(__file__).parents[1], {**os.environ, **ONE_THREAD}
    server = subprocess.Popen(
        command, cwd=place, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    # It ends at an empty line. Its input need not end: processes that a test has started may have that open too.
    atexit.register(server.communicate, "\n")
    return server


def _serve() -> None:
    import mtsldsl

    for module in pkgutil.walk_packages(mtsldsl.__path__, "mtsldsl."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    for library in LIBRARIES:
        import_module(library)
    gc.freeze()  # so that no child looks for garbage in it, which would copy it all
    for request in iter(sys.stdin.readline, "\n"):
        if not request:  # who asks is no more
            return
        child = os.fork()
        if not child:
            _end(_become, *json.loads(request))
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(status, flush=True)


def _end(act: Callable[..., None], *arguments: Any) -> NoReturn:
    """Act, and end the process with the status that Python would end it with."""
    status: object = 0
    try:
        act(*arguments)
    except SystemExit as ended:
        status = ended.code or 0
        if not isinstance(status, int):
            print(status, file=sys.stderr)
            status = 1
    except BaseException:  # as Python itself does with what nobody catches
        sys.excepthook(*sys.exc_info())
        status = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _become(words: list[str], folder: str, environment: dict[str, str], outputs: list[str]) -> None:
    for number, (path, flags) in enumerate(
        ((os.devnull, os.O_RDONLY), *((each, os.O_WRONLY | os.O_CREAT) for each in outputs))
    ):
        os.dup2(os.open(path, flags), number)
    packages = environment.get("PYTHONPATH")
    if packages and packages != os.environ.get("PYTHONPATH"):
        sys.path[1:1] = packages.split(os.pathsep)
        for name in [each for each in sys.modules if each.partition(".")[0] == "mtsldsl"]:
            del sys.modules[name]  # it may be another one
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    kind, name = words[0], words[1] if len(words) > 1 else ""
    if kind == "-m":
        sys.argv, sys.path[0] = [name, *words[2:]], folder
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    elif kind == "-c":
        sys.argv, sys.path[0] = ["-c", *words[2:]], ""
        exec(compile(name, "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.argv, sys.path[0] = list(words), str(Path(kind).parent.resolve())
        runpy.run_path(kind, run_name="__main__")


if __name__ == "__main__":
    _serve()
