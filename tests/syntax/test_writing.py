"""A file is replaced whole or not at all, and never over an edit that somebody else made meanwhile."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest

from mtsldsl.diagnostics import MtlError, Source
from mtsldsl.syntax import ChangedMeanwhileError, read_source, write_bytes_atomically, write_text_atomically

NOBODY = 65534


@pytest.fixture
def bound(tmp_path: Path) -> Iterator[Path]:
    """A folder of a user whom permissions bind, which they do not the superuser."""
    if os.geteuid() != 0:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory() as name:
        os.chown(name, NOBODY, NOBODY)
        os.seteuid(NOBODY)
        try:
            yield Path(name)
        finally:
            os.seteuid(0)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_writing_keeps_the_mode_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "a.mtl"
    path.write_text("old")
    path.chmod(0o640)
    write_text_atomically(path, "new\r\n")
    assert path.read_bytes() == b"new\r\n"
    assert mode_of(path) == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["a.mtl"]


def test_what_is_no_text_is_written_byte_for_byte(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(b"old")
    path.chmod(0o640)
    write_bytes_atomically(path, bytes(range(256)))
    assert path.read_bytes() == bytes(range(256))
    assert mode_of(path) == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_a_link_inside_the_folder_is_followed_and_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "a.mtl").write_text("old")
    (tmp_path / "link.mtl").symlink_to("a.mtl")
    write_text_atomically(tmp_path / "link.mtl", "new")
    assert (tmp_path / "a.mtl").read_text() == "new"
    assert (tmp_path / "link.mtl").is_symlink()


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "a.mtl").write_text("old")
    (inside / "link.mtl").symlink_to(tmp_path / "a.mtl")
    with pytest.raises(MtlError, match="MTL703"):
        write_text_atomically(inside / "link.mtl", "new")
    assert (tmp_path / "a.mtl").read_text() == "old"


def test_a_folder_that_is_not_there_is_an_error_of_the_user(tmp_path: Path) -> None:
    with pytest.raises(MtlError, match="MTL703"):
        write_text_atomically(tmp_path / "none" / "a.mtl", "new")


def test_a_folder_is_not_written_over(tmp_path: Path) -> None:
    target = tmp_path / "a.mtl"
    target.mkdir()
    with pytest.raises(MtlError, match=r"MTL703.*is a folder"):
        write_text_atomically(target, "new")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mtl"]


def test_a_pipe_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(MtlError, match=r"MTL703.*a pipe or a device.*\n.*`-` is the standard input"):
        write_text_atomically(tmp_path / "pipe", "new")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_the_longest_name_of_a_file_can_be_written(tmp_path: Path) -> None:
    for name in ("a" * 255, "é" * 127):
        write_text_atomically(tmp_path / name, "new")
        assert (tmp_path / name).read_text() == "new"


# Owner and permissions


def test_a_folder_without_permission_is_an_error_of_the_user(bound: Path) -> None:
    bound.chmod(0o500)
    with pytest.raises(MtlError, match="MTL703"):
        write_text_atomically(bound / "a.mtl", "new")
    bound.chmod(0o700)


def test_a_file_that_may_not_be_written_is_not_replaced(bound: Path) -> None:
    path = bound / "a.mtl"
    path.write_text("old")
    path.chmod(0o444)
    with pytest.raises(MtlError, match=r"MTL703.*may not be written"):
        write_text_atomically(path, "new")
    assert path.read_text() == "old"


@pytest.mark.skipif(os.geteuid() != 0, reason="the superuser alone can give a file away")
def test_a_file_of_another_user_stays_that_users(tmp_path: Path) -> None:
    path = tmp_path / "a.mtl"
    path.write_text("old")
    path.chmod(0o640)
    os.chown(path, 1000, 1001)
    write_text_atomically(path, "new")
    assert (path.stat().st_uid, path.stat().st_gid, mode_of(path)) == (1000, 1001, 0o640)


@pytest.mark.skipif(os.geteuid() != 0, reason="the superuser alone can make a file of another user")
def test_a_group_that_cannot_be_kept_gains_nothing(bound: Path) -> None:
    os.seteuid(0)
    bound.chmod(0o777)
    path = bound / "a.mtl"
    path.write_text("old")
    path.chmod(0o4666)
    os.chown(path, 1000, 1001)
    path.chmod(0o4662)
    os.seteuid(NOBODY)
    write_text_atomically(path, "new")
    assert (path.stat().st_uid, path.stat().st_gid, mode_of(path)) == (NOBODY, os.getegid(), 0o622)


def test_a_private_file_is_private_at_every_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.mtl"
    path.write_text("old")
    path.chmod(0o600)
    modes: set[int] = set()

    def watch(frame: Any, event: str, argument: Any) -> None:
        modes.update(mode_of(each) for each in tmp_path.iterdir())

    previous = sys.getprofile()
    sys.setprofile(watch)
    write_text_atomically(path, "new")
    sys.setprofile(previous)
    assert modes == {0o600}


# Whole or not at all


KILLED_AT_EVERY_CALL = """
import os, signal, sys
from pathlib import Path
from mtsldsl.syntax import write_text_atomically

target = Path(sys.argv[1])

def written(text, calls):
    '''Write in a process that is killed before its function call of that number; whether it came to its end.'''
    child = os.fork()
    if child == 0:
        left = calls
        def count(frame, event, argument):
            nonlocal left
            if event in ("call", "c_call"):
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.setprofile(count)
        write_text_atomically(target, text)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0

old, new = "a" * 30_000, "b" * 30_000
calls = 0
target.write_text(old)
while not written(new, calls):
    calls += 1
    found = target.read_text()
    print("old" if found == old else "new" if found == new else "neither")
    target.write_text(old)
print("new" if target.read_text() == new else "neither")
"""


def test_a_process_killed_at_any_moment_leaves_the_old_text_or_the_new(tmp_path: Path) -> None:
    target = tmp_path / "a.mtl"
    command = [sys.executable, "-c", KILLED_AT_EVERY_CALL, str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    moments = done.stdout.split()
    assert set(moments) == {"old", "new"}
    assert moments == sorted(moments, reverse=True)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mtl"], "the last write removes what the killed ones left"


def test_the_text_is_on_the_disk_before_the_renaming_and_the_renaming_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.mtl"
    path.write_text("old")
    done: list[str] = []
    sync, replace = os.fsync, Path.replace

    def recorded_sync(descriptor: int) -> None:
        sync(descriptor)
        found = os.fstat(descriptor)
        done.append("folder" if stat.S_ISDIR(found.st_mode) else f"{found.st_size} bytes")

    def recorded_replace(self: Path, target: Path) -> Path:
        done.append("renamed")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", recorded_sync)
    monkeypatch.setattr(Path, "replace", recorded_replace)
    write_text_atomically(path, "newer")
    assert done == ["5 bytes", "renamed", "folder"]


@pytest.mark.parametrize("call", ["fsync", "replace", "write"])
def test_a_disk_that_fails_leaves_the_old_text_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = tmp_path / "a.mtl"
    path.write_text("old")

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    if call == "write":
        import resource

        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
        try:
            with pytest.raises(MtlError, match="MTL703"):
                write_text_atomically(path, "new" * 100)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    else:
        monkeypatch.setattr(*((os, "fsync") if call == "fsync" else (Path, "replace")), fail)
        with pytest.raises(MtlError, match=r"MTL703.*No space left"):
            write_text_atomically(path, "new")
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["a.mtl"]


# Not over another one's edit


def during_the_write(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Act once when the new text is on the disk, and not yet in its place."""
    sync = os.fsync
    waiting = [act]

    def acting(descriptor: int) -> None:
        sync(descriptor)
        if waiting:
            waiting.pop()()

    monkeypatch.setattr(os, "fsync", acting)


@pytest.mark.parametrize("change", ["save", "delete", "mark"])
def test_a_file_that_is_not_as_expected_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    path = tmp_path / "a.mtl"
    path.write_text("old")
    before = read_source(path)
    changes: dict[str, Callable[[], object]] = {
        "save": lambda: path.write_text("old, and saved meanwhile"),
        "delete": path.unlink,
        "mark": lambda: path.write_text("\ufeffold", encoding="utf-8"),
    }
    during_the_write(monkeypatch, changes[change])
    with pytest.raises(ChangedMeanwhileError, match=r"MTL704.*a\.mtl was changed meanwhile"):
        write_text_atomically(path, "new", expected=before)
    assert [each.name for each in tmp_path.iterdir()] == ([] if change == "delete" else ["a.mtl"])
    assert change == "delete" or "old" in path.read_text()


def test_a_file_that_is_as_expected_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.mtl"
    path.write_bytes(b"\xef\xbb\xbfold\r\n")
    before = read_source(path)
    write_text_atomically(path, "new\r\n", before.bom, expected=before)
    assert path.read_bytes() == b"\xef\xbb\xbfnew\r\n"


def test_nobody_else_can_write_between_the_last_look_and_the_renaming(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.mtl"
    path.write_text("old")
    replace, refused = Path.replace, []

    def locked_out(self: Path, target: Path) -> Path:
        descriptor = os.open(tmp_path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            refused.append(target.name)
        finally:
            os.close(descriptor)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", locked_out)
    write_text_atomically(path, "new", expected=read_source(path))
    assert refused == ["a.mtl"]


def test_of_two_that_write_at_once_one_alone_succeeds(tmp_path: Path) -> None:
    path = tmp_path / "a.mtl"
    path.write_text("0")
    outcomes: list[str] = []
    together = Barrier(2)

    def write(own: str, before: Source) -> None:
        together.wait()
        try:
            write_text_atomically(path, own, expected=before)
            outcomes.append(own)
        except ChangedMeanwhileError:
            outcomes.append("refused")

    for number in range(20):
        outcomes.clear()
        before = read_source(path)
        writers = [Thread(target=write, args=(f"{number}{letter}", before)) for letter in "ab"]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert sorted(outcomes) == sorted([path.read_text(), "refused"])
