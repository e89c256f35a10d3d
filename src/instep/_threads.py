"""Process-wide settings: threads and instruction set."""

from __future__ import annotations

import os

from . import _validate as validate

try:
    from . import _core
except ImportError as error:
    if "libgomp" in str(error):
        hint = "install your distribution's OpenMP runtime (Debian, Ubuntu: libgomp1)"
        raise ImportError(f"{error}; {hint}") from error
    raise


def set_num_threads(n: int) -> None:
    """Limit how many threads a step may use, in the whole process.

    Parameters
    ----------
    n : int
        At least 1. OpenMP's own limit (``OMP_NUM_THREADS``) holds besides.

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
    _core.set_num_threads(validate.count("n", n, 1))


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
        raise ImportError(f"INSTEP_NUM_THREADS: must be an integer >= 1; got {text!r}")
    _core.set_num_threads(int(text))


_from_environment()
