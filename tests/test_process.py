"""What happens at import, across fork, and to the rest of the process."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import instep
from cases import CASES, Case
from conftest import ISAS
from instep import _core

SOURCE = Path(instep.__file__).parent


def python(code: str, *launcher: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith("INSTEP_")} | environment
    command = [*launcher, sys.executable, "-c", code]
    return subprocess.run(
        command, check=False, env=env, capture_output=True, text=True, timeout=300
    )


def output(code: str, **environment: str) -> str:
    done = python(code, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("isa", ISAS)
def test_forced_instruction_set_is_the_one_that_runs(isa: str) -> None:
    assert output("import instep; print(instep.active_isa())", INSTEP_ISA=isa) == isa


def test_best_instruction_set_by_default() -> None:
    assert output("import instep; print(instep.active_isa())") == ISAS[0]


def test_unknown_instruction_set() -> None:
    done = python("import instep", INSTEP_ISA="v9")
    assert done.returncode != 0
    assert "ImportError: INSTEP_ISA: must be one of" in done.stderr
    assert "got 'v9'" in done.stderr


def test_instruction_set_that_the_cpu_lacks() -> None:
    """By emulation of a CPU without AVX, and by name of another family where there is none."""
    if not Path("/usr/bin/qemu-x86_64").exists():
        pytest.skip("needs qemu-x86_64 (Debian: qemu-user) to be an older CPU")
    older = ("qemu-x86_64", "-cpu", "Nehalem")
    done = python("import instep", *older, INSTEP_ISA="v4")
    assert "INSTEP_ISA: 'v4' is not supported by this CPU, which has v2" in done.stderr
    code = """
import numpy as np, instep
print(instep.active_isa())
p, q = np.ones(1000, np.float32), np.ones(1000, np.float32)
g = np.linspace(-1, 1, 1000, dtype=np.float32)
for params, backend in ((p, "native"), (q, "reference")):
    opt = instep.Adam(params, transforms=[instep.ClipByGlobalNorm(1)], backend=backend)
    for _ in range(3):
        opt.step(g)
assert (p == q).all()
"""
    done = python(code, *older)
    assert (done.returncode, done.stdout.strip()) == (0, "v2"), done.stderr


@pytest.mark.parametrize(
    ("text", "fine"), [("1", True), ("0", False), ("two", False), ("-1", False)]
)
def test_threads_from_the_environment(text: str, fine: bool) -> None:
    done = python("import instep; print(instep.get_num_threads())", INSTEP_NUM_THREADS=text)
    if text == "1":
        assert done.stdout.strip() == text
    else:
        assert f"INSTEP_NUM_THREADS: must be an integer >= 1; got {text!r}" in done.stderr


def test_more_threads_than_an_int_holds_are_all() -> None:
    code = "import instep; print(instep.get_num_threads())"
    assert output(code, INSTEP_NUM_THREADS="9" * 30) == output(code)


@pytest.mark.parametrize("name", ["INSTEP_ISA", "INSTEP_NUM_THREADS"])
def test_command_says_a_bad_environment_in_one_line(name: str, tmp_path: Path) -> None:
    script = tmp_path / "instep"  # what an installation makes of the entry point
    script.write_text("from instep.cli import main\nmain()\n")
    path = {"PYTHONPATH": str(SOURCE.parent)}
    for arguments in (["-m", "instep"], [str(script)]):
        command = [sys.executable, *arguments, "info", "--json"]
        env = dict(os.environ) | path | {name: "odd"}
        done = subprocess.run(command, check=False, env=env, capture_output=True, text=True)
        assert done.returncode == 1
        assert re.fullmatch(rf"instep: {name}: must be .*; got 'odd'\n", done.stderr), done.stderr
        assert not done.stdout
        env.pop(name)
        done = subprocess.run(command, check=False, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert instep.__version__ in done.stdout


def test_subnormals_survive_the_import() -> None:
    code = "import numpy as np, instep; print(np.float32(1e-40) * np.float32(0.5) != 0)"
    assert output(code) == "True"


def test_import_is_light() -> None:
    heavy = {"sklearn", "matplotlib", "torch", "rich", "typer"}
    loaded = output("import sys, instep; print(*sys.modules)").split()
    assert not heavy & set(loaded)


def test_missing_openmp_runtime_is_explained() -> None:
    code = """
import sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "instep._core":
            raise ImportError("libgomp.so.1: cannot open shared object file")
sys.meta_path.insert(0, Finder())
import instep
"""
    done = python(code)
    assert "cannot open shared object file; install your distribution's OpenMP" in done.stderr


def test_reference_imports_nothing_native() -> None:
    """The modules that reference.py needs, followed by their import statements."""
    code = """
import sys, types
package = types.ModuleType("instep"); package.__path__ = [SOURCE]
sys.modules["instep"] = package
sys.modules["instep._core"] = None  # importing it raises
import numpy as np
from instep import reference
p = np.ones(3)
reference.sgd_(p, np.ones(3), step=1, lr=1.0)
print(p.tolist())
""".replace("SOURCE", repr(str(SOURCE)))
    assert output(code) == "[0.0, 0.0, 0.0]"


FORK = """
import os, signal, sys
IMPORTS
import numpy as np
import instep
signal.alarm(100)
p = np.ones(500_000)
g = np.ones(500_000)
opt = instep.Adam([p], transforms=[instep.ClipByGlobalNorm(1.0)])
instep.set_num_threads(2)
opt.step([g])
for _ in range(3):
    child = os.fork()
    opt.step([g])
    if child == 0:
        opt.step([g])
        q = np.ones(500_000)
        twin = instep.Adam([q], transforms=[instep.ClipByGlobalNorm(1.0)], backend="reference")
        for _ in range(opt.steps):
            twin.step([g])
        os._exit(0 if (p == q).all() else 3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
print("well", opt.steps)
"""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "imports",
    ["", "import torch; torch.ones(10**6).add_(1)", "import instep; import torch"],
    ids=["alone", "torch first", "torch second"],
)
def test_step_fork_step(imports: str) -> None:
    if "torch" in imports:
        pytest.importorskip("torch", reason="torch is not installed: pip install torch==2.13.0")
    assert output(FORK.replace("IMPORTS", imports), OMP_NUM_THREADS="2") == "well 4"


def test_interpreter_is_free_during_a_step() -> None:
    """Another Python thread gets its turns in the middle of a long step."""
    n = 20_000_000
    opt = instep.Adam([np.ones(n, np.float32)])
    g = np.ones(n, np.float32)
    _core.set_num_threads(1)
    turns: list[float] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            turns.append(time.perf_counter())
            time.sleep(0.0005)

    watcher = threading.Thread(target=watch)
    watcher.start()
    spans = []
    for _ in range(10):
        start = time.perf_counter()
        opt.step([g])
        spans.append((start, time.perf_counter()))
    done.set()
    watcher.join()
    inside = [sum(a + 0.2 * (b - a) < turn < a + 0.8 * (b - a) for turn in turns) for a, b in spans]
    assert max(inside) >= 1


def test_keyboard_interrupt_leaves_count_and_parameters_together() -> None:
    """Steps interrupted at any moment are either taken and counted, or neither."""
    code = """
import signal, time
import numpy as np, instep

p, g = np.zeros(300_000), np.ones(300_000)
opt = instep.SGD([p], lr=1.0)
interrupts = 0

def stop(_, frame):
    global interrupts
    while frame is not None:
        if frame.f_code is instep.Optimizer.step.__code__:
            interrupts += 1
            raise KeyboardInterrupt
        frame = frame.f_back

signal.signal(signal.SIGALRM, stop)
signal.setitimer(signal.ITIMER_REAL, 0.0007, 0.0007)
end = time.monotonic() + 2
while time.monotonic() < end:
    try:
        opt.step([g])
    except KeyboardInterrupt:
        pass
signal.setitimer(signal.ITIMER_REAL, 0)
assert (p == -opt.steps).all(), (p[0], opt.steps)
print(interrupts > 10, opt.steps > 10)
"""
    assert output(code) == "True True"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_rules_of_python_and_cpp_agree(case: Case) -> None:
    native = _core.rules()
    h = dict(case.cls([np.zeros(1)], **case.hyper).param_groups[0])
    variants, count = native[case.cls._rule]
    for steps in (range(1, 4), range(3000, 3001)):
        made = list(case.cls._scalars(h, steps))
        assert len(made) == len(steps)
        for variant, scalars in made:
            assert len(scalars) == count
            assert 0 <= variant < variants


def test_signal_handler_may_save_in_the_middle_of_a_step() -> None:
    code = """
import signal, time
import numpy as np, instep

p, g = np.zeros(300_000), np.ones(300_000)
opt = instep.SGD([p], lr=1.0, momentum=0.0)
saved = []

def save(_, frame):
    saved.append(opt.state_dict()["steps"])
    assert p[0] == -saved[-1]

signal.signal(signal.SIGALRM, save)
signal.alarm(60)  # should it hang
signal.setitimer(signal.ITIMER_REAL, 0.0007, 0.0007)
while len(saved) < 100:
    opt.step([g])
signal.setitimer(signal.ITIMER_REAL, 0)
print(saved == sorted(saved))
"""
    assert output(code) == "True"
