"""Threads: how many, which bits, several callers, forks at a bad moment."""

from __future__ import annotations

import pytest

from instep import _core
from test_process import output

PARALLEL = _core.threads_library() != "none"
POOL = _core.threads_library() == "own pool"
needs_threads = pytest.mark.skipif(not PARALLEL, reason="built without threads")
needs_pool = pytest.mark.skipif(not POOL, reason="built without the pool")

# Optimizers of the same steps, native and reference, and how they are compared.
PAIR = """
import os, signal, threading, time
import numpy as np
import instep
signal.alarm(200)

class Pair:
    def __init__(self, seed, sizes, backends=("native", "reference")):
        rng = np.random.default_rng(seed)
        start = [rng.standard_normal(n, np.float32) for n in sizes]
        self.grads = [rng.standard_normal(n, np.float32) for n in sizes]
        self.opts = [
            instep.Adam([p.copy() for p in start], backend=backend,
                        transforms=[instep.ClipByGlobalNorm(1.0)])
            for backend in backends
        ]
    def native(self):
        self.opts[0].step(self.grads)
    def same(self):
        while self.opts[1].steps < self.opts[0].steps:
            self.opts[1].step(self.grads)
        a, b = (b"".join(p.tobytes() for p in opt.params) for opt in self.opts)
        return a == b

def with_worker(size):
    # and where the system tells of the other thread
    before = set(os.listdir("/proc/self/task"))
    pair = Pair(1, [size], ["native"])
    pair.native()
    (worker,) = set(os.listdir("/proc/self/task")) - before
    return pair, f"/proc/self/task/{worker}"

def wakes(worker, run):
    # how many times of 20 it slept again, after it had slept before
    def sleeps():
        with open(f"{worker}/status") as status:
            (line,) = [x for x in status if x.startswith("voluntary_ctxt_switches")]
        return int(line.split()[1])

    woken = 0
    for _ in range(20):
        time.sleep(0.005)
        start = sleeps()
        run()
        time.sleep(0.005)
        woken += sleeps() > start
    return woken
"""


def says(code: str, **environment: str) -> str:
    return output(PAIR + code, **environment)


@needs_pool
@pytest.mark.parametrize(
    ("text", "expected"), [("3", 3), ("2,1", 2), ("100000", 256), ("0", 1), ("odd", 1), ("", 1)]
)
def test_limit(text: str, expected: int) -> None:
    """OMP_NUM_THREADS, though there are fewer CPUs; else the CPUs that the process may use."""
    code = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import instep
before = instep.get_num_threads()
instep.set_num_threads(10**30)
print(before, instep.get_num_threads())
"""
    assert output(code, OMP_NUM_THREADS=text) == f"{expected} {expected}"


@needs_threads
def test_bits_with_more_threads_than_cores() -> None:
    code = """
for sizes in ([300_001], [70_000, 0, 3, 200_000, 1], [61] * 3000):
    pair = Pair(1, sizes)
    for threads in (1, 2, 3, 5):
        instep.set_num_threads(threads)
        assert instep.get_num_threads() == threads
        pair.native()
        assert pair.same(), (sizes[:5], threads)
print("same")
"""
    assert says(code, OMP_NUM_THREADS="5") == "same"


@needs_threads
def test_small_steps_of_several_callers_with_changing_threads() -> None:
    code = """
pairs = [Pair(seed, [70_000 + 40_000 * seed]) for seed in range(3)]
done = threading.Event()

def steps(pair):
    for _ in range(400):
        pair.native()

def change():
    for k in range(10**9):
        if done.is_set():
            return
        instep.set_num_threads(1 + k % 4)
        time.sleep(0.0002)

callers = [threading.Thread(target=steps, args=(pair,)) for pair in pairs]
changer = threading.Thread(target=change)
for thread in (changer, *callers):
    thread.start()
for thread in callers:
    thread.join()
done.set()
changer.join()
print(*(pair.same() and pair.opts[0].steps for pair in pairs))
"""
    assert says(code, OMP_NUM_THREADS="4") == "400 400 400"


@needs_pool
def test_thousands_of_steps_lose_no_chunk() -> None:
    """After every one all elements are the same."""
    code = """
n = 70_000
p, g = np.zeros(n, np.float32), np.ones(n, np.float32)
opt = instep.SGD([p], lr=1.0)
for k in range(1, 5001):
    instep.set_num_threads(2 + k % 2)
    opt.step([g])
    assert (p == -k).all(), (k, np.unique(p))
    if k % 1000 == 0:
        time.sleep(0.01)  # threads fall asleep
print("all")
"""
    assert says(code, OMP_NUM_THREADS="3") == "all"


@needs_pool
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_fork_while_another_thread_steps() -> None:
    """The child has a pool of its own, and its threads."""
    code = """
busy, own = Pair(1, [400_000], ("native", "native")), Pair(2, [200_000])
done = threading.Event()

def steps():
    while not done.is_set():
        busy.native()

own.native()
thread = threading.Thread(target=steps)
thread.start()
time.sleep(0.01)
for _ in range(20):
    child = os.fork()
    if child == 0:
        signal.alarm(100)
        assert len(os.listdir("/proc/self/task")) == 1
        own.native()
        assert len(os.listdir("/proc/self/task")) == 3
        os._exit(0 if own.same() else 3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    own.native()
done.set()
thread.join()
print(own.same(), busy.same())
"""
    assert says(code, OMP_NUM_THREADS="3") == "True True"


@needs_pool
def test_threads_leave_signals_to_the_program() -> None:
    code = """
_, worker = with_worker(200_000)
time.sleep(0.1)  # it may be starting
with open(f"{worker}/status") as status:
    (line,) = [line for line in status if line.startswith("SigBlk:")]
blocked = int(line.split()[1], 16)
print(*(blocked >> (s - 1) & 1 for s in (signal.SIGALRM, signal.SIGINT, signal.SIGSEGV)))
"""
    assert says(code, OMP_NUM_THREADS="2") == "1 1 0"


@needs_pool
def test_threads_work_again_after_they_slept() -> None:
    """By the time that the other thread has run."""
    code = """
pair, worker = with_worker(4_000_000)

def ticks():
    with open(f"{worker}/stat") as stat:
        return sum(int(x) for x in stat.read().rpartition(")")[2].split()[11:13])

time.sleep(0.2)
start, end = ticks(), time.monotonic() + 30
while ticks() < start + 3 and time.monotonic() < end:
    pair.native()
print(ticks() >= start + 3)
"""
    assert says(code, OMP_NUM_THREADS="2") == "True"


@needs_pool
def test_little_work_wakes_those_asleep_if_more_follows_at_once() -> None:
    """By how often the other thread has slept; where the machine is busy, not every time."""
    code = """
pair, worker = with_worker(70_000)

def follow():
    for _ in range(8):
        pair.native()

print(wakes(worker, follow) >= 10)
"""
    assert says(code, OMP_NUM_THREADS="2") == "True"


@needs_pool
def test_work_in_few_pieces_wakes_those_asleep() -> None:
    """Where the first chunk has none of it, what it took before tells how much it is."""
    code = """
_, worker = with_worker(70_000)
rng = np.random.default_rng(1)
p, g = (rng.standard_normal((1000, 1000), np.float32) for _ in range(2))
opt = instep.Adam([p])
grads = [np.asfortranarray(g)]
opt.step(grads)
print(wakes(worker, lambda: opt.step(grads)) >= 10)
"""
    assert says(code, OMP_NUM_THREADS="2") == "True"


@needs_pool
def test_little_work_alone_wakes_nobody() -> None:
    code = """
pair, worker = with_worker(40_000)
print(wakes(worker, pair.native) <= 10)
"""
    assert says(code, OMP_NUM_THREADS="2") == "True"
