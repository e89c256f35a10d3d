"""Process-wide settings: threads and instruction set."""

from __future__ import annotations

import os
import sys
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

from . import _validate as validate


def _is_command() -> bool:
    """Whether this process is ``instep ...`` or ``python -m instep ...``, importing its package."""
    program = (getattr(sys, "argv", None) or [""])[0]
    if program == "-m":
        return ("-m", "instep") in pairwise(sys.orig_argv)
    return Path(program).stem == "instep"


def _refuse(message: str, cause: ImportError | None = None) -> NoReturn:
    """Raise; but the command line, which cannot catch this in time, says it in one line."""
    if _is_command():
        sys.exit(f"instep: {message}")
    raise ImportError(message, name=getattr(cause, "name", None)) from cause


try:
    from . import _core
except ImportError as error:
    hint = "install your distribution's OpenMP runtime (Debian, Ubuntu: libgomp1)"
    _refuse(f"{error}; {hint}" if "libgomp" in str(error) else str(error), error)


def set_num_threads(n: int) -> None:
    """Limit how many threads a step may use, in the whole process.

    Parameters
    ----------
    n : int
        At least 1. No more are used than ``OMP_NUM_THREADS`` says or, where it is not set, than
        this process may use CPUs.

    Raises
    ------
    TypeError, ValueError
        If ``n`` is not an integer >= 1.

    Examples
    --------
    >>> import instep
    >>> before = instep.get_num_threads()
    >>> instep.set_num_threads(1)
    >>> instep.get_num_threads()
    1
    >>> instep.set_num_threads(before)
    """
    _limit(validate.count("n", n, 1))


def _limit(n: int) -> None:
    _core.set_num_threads(min(n, 1 << 16))  # an int in C, and more than there can be


def get_num_threads() -> int:
    """Return how many threads a large step uses.

    Examples
    --------
    >>> import instep
    >>> instep.get_num_threads() >= 1
    True
    """
    return _core.get_num_threads()


def active_isa() -> str:
    """Return the instruction set in use: "v2", "v3" or "v4" of x86-64, or "neon".

    The environment variable ``INSTEP_ISA`` chooses another one at import.

    Examples
    --------
    >>> import instep
    >>> instep.active_isa() in ("v2", "v3", "v4", "neon", "generic")
    True
    """
    return _core.active_isa()


def _from_environment() -> None:
    text = os.environ.get("INSTEP_NUM_THREADS", "")
    if not text:
        return
    if not text.isdecimal() or int(text) < 1:
        _refuse(f"INSTEP_NUM_THREADS: must be an integer >= 1; got {text!r}")
    _limit(int(text))


_from_environment()
