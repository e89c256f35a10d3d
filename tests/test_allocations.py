"""A steady step allocates nothing: a library that is loaded first counts the calls of malloc."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

COUNTER = """
#include <stddef.h>
static long calls;
long malloc_calls(void) { return calls; }
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
static void count(void) { __atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED); }
void *malloc(size_t n) { count(); return __libc_malloc(n); }
void *calloc(size_t n, size_t size) { count(); return __libc_calloc(n, size); }
void *realloc(void *p, size_t n) { count(); return __libc_realloc(p, n); }
"""
STEPS = """
import ctypes
import numpy as np
import instep

calls = ctypes.CDLL(None).malloc_calls
calls.restype = ctypes.c_long
clip, adaptive = instep.ClipByGlobalNorm(1.0), [instep.AdaptiveClip(1.0), instep.Standardize()]

def counted(act):
    before = calls()
    act()
    return calls() - before

assert counted(lambda: np.empty(100_000)) > 0
for shapes in [[(10,)], [(1000, 1000)], [(30, 40)] * 100]:
    for cls, transforms in [(instep.Adam, []), (instep.AdamW, [clip]), (instep.LAMB, adaptive)]:
        params, grads = ([np.ones(s, np.float32) for s in shapes] for _ in range(2))
        opt = cls(params, transforms=transforms, nonfinite="skip")
        # Rows are made for 64 steps at once.
        def steps():
            for _ in range(64):
                opt.step(grads)
        for _ in range(3):
            steps()
        # Python itself allocates now and then; a step that does would each time.
        least = min(counted(steps) for _ in range(5))
        print(cls.__name__, shapes[0], len(shapes), least)
"""


def test_nothing_is_allocated(tmp_path: Path) -> None:
    compiler = shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("needs a C compiler, and a C library whose malloc can be replaced")
    if "LD_PRELOAD" in os.environ:
        pytest.skip("another library is loaded first, say that of a sanitizer")
    source, library = tmp_path / "counter.c", tmp_path / "counter.so"
    source.write_text(COUNTER)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
    env = os.environ | {"LD_PRELOAD": str(library)}
    done = subprocess.run(
        [sys.executable, "-c", STEPS], env=env, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    rows = done.stdout.splitlines()
    assert len(rows) == 9
    assert [row for row in rows if not row.endswith(" 0")] == []
