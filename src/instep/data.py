"""Sets of labelled images to train on: scikit-learn's digits, and files in MNIST's format."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ._extras import extra

__all__ = ["Dataset", "load_digits", "load_idx", "read_idx"]

UNSIGNED_BYTE = 0x08


class Dataset(NamedTuple):
    """Images as rows of numbers, in [0, 1], with their classes."""

    x_train: np.ndarray
    """float32, shape (images, pixels)."""
    y_train: np.ndarray
    """int64, shape (images,), in [0, classes)."""
    x_test: np.ndarray
    """As ``x_train``."""
    y_test: np.ndarray
    """As ``y_train``."""

    @property
    def classes(self) -> int:
        """How many classes the labels name, which is one more than the largest."""
        return 1 + int(max(self.y_train.max(), self.y_test.max()))


def load_digits() -> Dataset:
    """Return the UCI digits that come with scikit-learn: 1797 of 8 x 8 pixels, a fifth for testing.

    The split is always the same and keeps the proportions of the classes.

    Returns
    -------
    Dataset

    Raises
    ------
    ModuleNotFoundError
        If scikit-learn is not installed.

    References
    ----------
    Alpaydin, Kaynak, "Optical recognition of handwritten digits", UCI machine learning repository,
    1998.

    Examples
    --------
    >>> from instep import data
    >>> digits = data.load_digits()
    >>> digits.x_train.shape, digits.x_test.shape, digits.classes
    ((1437, 64), (360, 64), 10)
    """
    extra("sklearn", "load_digits")
    from sklearn import datasets, model_selection  # type: ignore[import-untyped]  # noqa: PLC0415

    images, labels = datasets.load_digits(return_X_y=True)
    x = (images / 16).astype(np.float32)
    y = labels.astype(np.int64)
    parts = model_selection.train_test_split(x, y, test_size=0.2, stratify=y, random_state=0)
    x_train, x_test, y_train, y_test = parts
    return Dataset(x_train, y_train, x_test, y_test)


def load_idx(directory: str | os.PathLike[str]) -> Dataset:
    """Return a set of images in MNIST's four files, each with or without ``.gz``.

    They are ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, ``t10k-images-idx3-ubyte``
    and ``t10k-labels-idx1-ubyte``, or the same with a dot before ``idx``.

    Parameters
    ----------
    directory : path
        Where the files are.

    Returns
    -------
    Dataset

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If a file breaks a rule of its format, or the files do not belong together.

    Examples
    --------
    >>> from instep import data
    >>> data.load_idx("no-such-directory")
    Traceback (most recent call last):
    FileNotFoundError: no-such-directory: must be a directory with train-images-idx3-ubyte[.gz]; \
got nothing of that name
    """
    folder = Path(directory)
    x_train, y_train = _load_part(folder, "train")
    x_test, y_test = _load_part(folder, "t10k")
    if x_train.shape[1:] != x_test.shape[1:]:
        rule = "images for testing must have the size of those for training"
        raise ValueError(f"{folder}: {rule}; got {x_test.shape[1:]} and {x_train.shape[1:]} pixels")
    return Dataset(_scaled(x_train), y_train, _scaled(x_test), y_test)


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """Return the array of unsigned bytes in an IDX file; one named ``.gz`` is unpacked.

    The format: two zero bytes, a code for the type, the number of dimensions, their sizes as
    big-endian 32-bit integers, and the elements in C order.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    ndarray of uint8, read-only

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is not an IDX file of unsigned bytes, is cut short or goes on behind its end.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from instep import data
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "labels-idx1-ubyte")
    ...     size = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
    ...     data.read_idx(path)
    array([7, 2, 1], dtype=uint8)
    """
    path = Path(path)
    content = _content(path)
    if content[:2] != b"\0\0" or len(content) < 4:
        raise ValueError(f"{path}: must start with 00 00, type, rank; got {content[:4].hex(' ')!r}")
    code, rank = content[2], content[3]
    if code != UNSIGNED_BYTE:
        raise ValueError(f"{path}: type must be 0x08 (unsigned byte); got {code:#04x}")
    start = 4 + 4 * rank
    if len(content) < start:
        raise ValueError(f"{path}: {rank} dimensions need {start} bytes; got {len(content)}")
    shape = [int(n) for n in np.frombuffer(content, ">u4", rank, offset=4)]
    if len(content) - start != math.prod(shape):
        rule = f"shape {tuple(shape)} needs {math.prod(shape)} bytes after the header"
        raise ValueError(f"{path}: {rule}; got {len(content) - start}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _content(path: Path) -> bytes:
    if path.suffix != ".gz":
        return path.read_bytes()
    try:
        with gzip.open(path) as file:
            return file.read()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: must be a whole gzip file; got: {error}") from error


def _load_part(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Return images (uint8, three dimensions) and labels (int64) of one of the two parts."""
    images, labels = _find(folder, f"{part}-images", 3), _find(folder, f"{part}-labels", 1)
    x, y = _read_rank(images, 3), _read_rank(labels, 1)
    if len(x) != len(y):
        raise ValueError(f"{labels}: must have a label for each of {len(x)} images; got {len(y)}")
    if x.size == 0:
        raise ValueError(f"{images}: must have at least one pixel; got shape {x.shape}")
    return x, y.astype(np.int64)


def _find(folder: Path, stem: str, rank: int) -> Path:
    names = [f"{stem}{dot}idx{rank}-ubyte{packed}" for packed in ("", ".gz") for dot in "-."]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    got = "a directory without it" if folder.is_dir() else "nothing of that name"
    if folder.is_file():
        got = "a file"
    raise FileNotFoundError(f"{folder}: must be a directory with {names[0]}[.gz]; got {got}")


def _read_rank(path: Path, rank: int) -> np.ndarray:
    array = read_idx(path)
    if array.ndim != rank:
        raise ValueError(f"{path}: must have {rank} dimensions; got {array.ndim}")
    return array


def _scaled(images: np.ndarray) -> np.ndarray:
    pixels: np.ndarray = images.reshape(len(images), -1).astype(np.float32)
    pixels /= 255
    return pixels
