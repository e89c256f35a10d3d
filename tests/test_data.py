"""Image sets: the digits' split, and IDX files good and bad."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from instep import data

STEMS = {"train-images": 3, "train-labels": 1, "t10k-images": 3, "t10k-labels": 1}


def idx(array: np.ndarray) -> bytes:
    sizes = b"".join(n.to_bytes(4, "big") for n in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()


def arrays(train: int = 40, test: int = 12, side: int = 4) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(8)
    return {
        "train-images": rng.integers(0, 256, (train, side, side)),
        "train-labels": np.arange(train) % 5,
        "t10k-images": rng.integers(0, 256, (test, side, side)),
        "t10k-labels": np.arange(test) % 3,
    }


def name(stem: str, dot: str = "-", packed: str = "") -> str:
    return f"{stem}{dot}idx{STEMS[stem]}-ubyte{packed}"


def write_set(folder: Path, given: dict[str, np.ndarray], dot: str = "-", packed: str = "") -> None:
    for stem, array in given.items():
        content = idx(array)
        content = gzip.compress(content) if packed else content
        (folder / name(stem, dot, packed)).write_bytes(content)


@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize("dot", ["-", "."])
def test_idx_files(tmp_path: Path, dot: str, packed: str) -> None:
    given = arrays()
    write_set(tmp_path, given, dot, packed)
    got = data.load_idx(str(tmp_path))
    assert (got.x_train.shape, got.x_test.shape, got.classes) == ((40, 16), (12, 16), 5)
    assert (got.x_train.dtype, got.y_train.dtype) == (np.float32, np.int64)
    pixels = given["train-images"].reshape(40, 16).astype(np.float32) / np.float32(255)
    np.testing.assert_array_equal(got.x_train, pixels)
    np.testing.assert_array_equal(got.y_train, given["train-labels"])
    np.testing.assert_array_equal(got.y_test, given["t10k-labels"])


WHOLE = idx(np.arange(24).reshape(2, 3, 4))
BROKEN = {
    "empty": (b"", "must start with 00 00, type, rank; got ''"),
    "not-idx": (b"\x89PNG" + WHOLE, "must start with 00 00, type, rank; got '89 50 4e 47'"),
    "three-bytes": (WHOLE[:3], "must start with 00 00, type, rank; got '00 00 08'"),
    "float": (b"\0\0\x0d\3" + WHOLE[4:], r"type must be 0x08 \(unsigned byte\); got 0x0d"),
    "header-cut": (WHOLE[:11], "3 dimensions need 16 bytes; got 11"),
    "cut": (WHOLE[:-1], r"shape \(2, 3, 4\) needs 24 bytes after the header; got 23"),
    "longer": (WHOLE + b"\0", r"shape \(2, 3, 4\) needs 24 bytes after the header; got 25"),
    "lie": (b"\0\0\x08\3" + b"\xff" * 12, r"shape .* needs \d{29} bytes after the header; got 0"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_file(tmp_path: Path, kind: str) -> None:
    content, message = BROKEN[kind]
    path = tmp_path / "broken-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"{path.name}: {message}"):
        data.read_idx(path)


HARM = [lambda z: z[:-12], lambda z: b"no" + z, lambda z: z[:10] + b"\xff" + z[11:]]


@pytest.mark.parametrize("harm", HARM, ids=["cut", "no-header", "no-such-block"])
def test_broken_gzip(tmp_path: Path, harm: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "broken-idx3-ubyte.gz"
    path.write_bytes(harm(gzip.compress(WHOLE)))
    with pytest.raises(ValueError, match=f"{path.name}: must be a whole gzip file; got: "):
        data.read_idx(path)


ODD = {
    "labels": ({"train-labels": np.zeros(39)}, "train-labels.*a label for each of 40 .*got 39"),
    "rank": ({"t10k-images": np.zeros((12, 16))}, "t10k-images.*must have 3 dimensions; got 2"),
    "label-rank": ({"t10k-labels": np.zeros((12, 1))}, "t10k-labels.*have 1 dimensions; got 2"),
    "size": ({"t10k-images": np.zeros((12, 4, 5))}, r"size of those for training; got \(4, 5\)"),
    "none": (
        {"t10k-images": np.zeros((0, 4, 4)), "t10k-labels": np.zeros(0)},
        r"t10k-images.*must have at least one pixel; got shape \(0, 4, 4\)",
    ),
}


@pytest.mark.parametrize("kind", ODD)
def test_files_that_do_not_belong_together(tmp_path: Path, kind: str) -> None:
    changes, message = ODD[kind]
    given = arrays() | changes
    for stem, array in given.items():
        (tmp_path / name(stem)).write_bytes(idx(array))
    with pytest.raises(ValueError, match=message):
        data.load_idx(tmp_path)


def test_missing_files(tmp_path: Path) -> None:
    write_set(tmp_path, arrays())
    gone = tmp_path / name("t10k-labels")
    gone.unlink()
    with pytest.raises(FileNotFoundError, match=f"{gone.name}.*; got a directory without it"):
        data.load_idx(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"must be a directory with .*; got a file"):
        data.load_idx(tmp_path / name("train-labels"))


def test_digits() -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed: pip install .[demo]")
    first, again = data.load_digits(), data.load_digits()
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert first.x_train.dtype == first.x_test.dtype == np.float32
    for x in (first.x_train, first.x_test):
        assert (x.min(), x.max()) == (0.0, 1.0)
    train, test = np.bincount(first.y_train), np.bincount(first.y_test)
    assert len(train) == len(test) == first.classes == 10
    np.testing.assert_allclose(test / (train + test), 0.2, atol=0.005)
    assert not {x.tobytes() for x in first.x_train} & {x.tobytes() for x in first.x_test}
