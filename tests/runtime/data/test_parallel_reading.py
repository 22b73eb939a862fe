"""Processes that work ahead: what they give is in order, they stay for the next pass, and errors keep what they say."""

from __future__ import annotations

import os
import pickle
import select
import signal
from functools import partial
from itertools import islice

import pytest

from mtsldsl.diagnostics import MtlError
from mtsldsl.runtime.data import parallel_reading
from mtsldsl.runtime.data.parallel_reading import Processes
from tests import prepared


def worked(asked: int) -> tuple[int, int]:
    if asked < 0:
        raise MtlError.of("MTL602", f"{asked} is negative", "ask for another")
    return asked**2, os.getpid()


def test_processes_stay_for_the_next_pass_also_after_one_that_was_left() -> None:
    processes = Processes(2, "numbers", None)
    passes = [list(processes.in_turn(worked, range(9))) for _ in range(2)]
    assert [[square for square, _ in each] for each in passes] == [[number**2 for number in range(9)]] * 2
    own = {process for _, process in passes[0]}
    assert len(own) == 2
    assert os.getpid() not in own
    assert {process for _, process in passes[1]} == own
    left = processes.in_turn(worked, range(50, 90))
    assert [square for square, _ in islice(left, 3)] == [2500, 2601, 2704]
    within = list(processes.in_turn(worked, range(3)))  # while the other goes on
    assert [square for square, _ in within] == [0, 1, 4]
    assert not own & {process for _, process in within}
    assert next(left)[0] == 53**2
    del left
    assert [square for square, _ in processes.in_turn(worked, range(5))] == [0, 1, 4, 9, 16]
    with pytest.raises(MtlError) as caught:
        list(processes.in_turn(worked, [1, 2, -7, 3]))
    assert [(each.code, each.cause) for each in caught.value.diagnostics] == [("MTL602", "-7 is negative")]
    assert [square for square, _ in processes.in_turn(worked, [4, 5])] == [16, 25]
    other = partial(worked)
    assert [square for square, _ in processes.in_turn(other, [6, 7])] == [36, 49]
    assert pickle.loads(pickle.dumps(processes)).count == 2


def killed(process: int) -> None:
    """Once this returns it is no more, and its parent has been told."""
    os.kill(process, signal.SIGKILL)
    os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)


@pytest.mark.parametrize("after", [9, 1])
def test_a_process_that_ends_while_it_waits_is_told_of_in_the_next_pass_and_nowhere_else(after: int) -> None:
    processes = Processes(2, "`photos`", None)
    going = processes.in_turn(worked, range(9))
    own = [process for _, process in islice(going, after)]
    going.close()
    heard = signal.getsignal(signal.SIGCHLD)
    killed(own[0])
    assert signal.getsignal(signal.SIGCHLD) is heard
    with pytest.raises(MtlError, match=r"MTL607.*reads samples of `photos` has ended(.|\n)*`--workers 0`"):
        list(processes.in_turn(worked, range(9)))
    assert [square for square, _ in processes.in_turn(worked, range(3))] == [0, 1, 4]  # by new ones


def test_a_process_that_ends_in_the_midst_of_a_pass_is_told_of() -> None:
    going = Processes(2, "`photos`", None).in_turn(worked, range(500))
    killed(next(going)[1])
    with pytest.raises(MtlError, match="MTL607"):
        list(going)


STARTS = """
import os, signal
from mtsldsl.diagnostics import MtlError
from mtsldsl.runtime.data.parallel_reading import Processes

processes = Processes(2, "`photos`", None)
os.register_at_fork(after_in_child=lambda: os.kill(os.getpid(), signal.SIGKILL))
try:
    list(processes.in_turn(abs, range(9)))
except MtlError as error:
    print(error.diagnostics[0].code)
"""


@pytest.mark.soak
def test_a_process_that_ends_while_it_starts_is_told_of() -> None:
    done = prepared.run("-c", STARTS)
    assert (done.returncode, done.stdout) == (0, "MTL607\n"), done.stderr


@pytest.mark.parametrize(("count", "asked"), [(0, [1, 2]), (2, [3]), (2, [])])
def test_what_is_asked_for_once_is_done_here(count: int, asked: list[int]) -> None:
    assert list(Processes(count, "numbers", None).in_turn(worked, asked)) == [(each**2, os.getpid()) for each in asked]


@pytest.mark.parametrize(
    ("seconds", "batch", "count"), [(0.0001, 32, 0), (0.0006, 32, 0), (0.0007, 32, 2), (0.1, 1, 2)]
)
def test_they_are_taken_where_a_batch_takes_long(seconds: float, batch: int, count: int) -> None:
    assert parallel_reading.QUICK == 0.02
    processes = Processes(2, "`photos`", None).worth_while(seconds, batch)
    assert processes.count == count
    assert bool(list(processes.remark_on_none(2, batch))) == (count == 0)
    assert not list(processes.remark_on_none(0, batch))


DIES = """
import os, signal
from mtsldsl.runtime.data.parallel_reading import Processes

def much(_):
    return os.getpid(), bytes(10_000_000)  # more than waits to be taken

found = Processes(2, "`photos`", None).in_turn(much, range(100))
print(*sorted({next(found)[0] for _ in range(4)}), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="this system does not tell when a process ends")
def test_processes_end_with_the_one_that_has_started_them_however_that_ends() -> None:
    done = prepared.run("-c", DIES)
    assert done.returncode == -9
    processes = [int(each) for each in done.stdout.split()]
    assert processes
    for process in processes:
        try:
            ending = os.pidfd_open(process)
        except ProcessLookupError:
            continue
        ready, _, _ = select.select([ending], [], [], 60)
        os.close(ending)
        assert ready, "it goes on"
