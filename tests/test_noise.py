"""AddNoise: the published generator, the normal law, and the same numbers whatever the way."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import instep
from instep import _noise

DRAWS = 10_000_000
WORDS = {
    32: ((0xD2511F53, 0xCD9E8D57), (0x9E3779B9, 0xBB67AE85)),
    64: ((0xD2E7470EE14C6C93, 0xCA5A826395121157), (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)),
}

# Counter, key, words: the known answers that the authors of Philox publish (Random123).
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((2**32 - 1,) * 4, (2**32 - 1,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


def philox(bits: int, counter: tuple[int, ...], key: tuple[int, ...]) -> tuple[int, ...]:
    """Philox 4 x bits, 10 rounds, in Python's integers."""
    (m0, m1), (w0, w1) = WORDS[bits]
    size = 2**bits
    (x0, x1, x2, x3), (k0, k1) = counter, key
    for _ in range(10):
        a, b = x0 * m0, x2 * m1
        x0, x1, x2, x3 = b // size ^ x1 ^ k0, b % size, a // size ^ x3 ^ k1, a % size
        k0, k1 = (k0 + w0) % size, (k1 + w1) % size
    return x0, x1, x2, x3


def drawn(size: int, *, backend: Any = "native", dtype: type = np.float32, steps: int = 1,
          seed: int = 0, tensors: int = 1, number: int = 0) -> np.ndarray:  # fmt: skip
    """Noise of deviation 1 from one tensor's last step."""
    params = [np.zeros(size if i == number else 1, dtype) for i in range(tensors)]
    noise = instep.AddNoise(1.0, gamma=0.0, seed=seed)
    opt = instep.SGD(params, lr=1.0, transforms=[noise], backend=backend)
    for _ in range(steps):
        params[number][...] = 0
        opt.step([np.zeros_like(p) for p in params])
    return -params[number]


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN)
def test_known_answers(counter: Any, key: Any, words: Any) -> None:
    got = _noise.philox([np.array([c]) for c in counter], key)
    assert tuple(int(w[0]) for w in got) == words == philox(32, counter, key)


def test_the_same_generator_with_words_of_64_bits_is_numpys() -> None:
    rng = np.random.Generator(np.random.Philox(1))
    for _ in range(20):
        *counter, k0, k1 = (int(x) for x in rng.integers(0, 2**63, 6))
        theirs = np.random.Philox(counter=counter, key=[k0, k1]).random_raw(4)
        # NumPy counts before it draws.
        ours = philox(64, (counter[0] + 1, *counter[1:]), (k0, k1))
        assert ours == tuple(int(x) for x in theirs)


def test_words_of_many_counters() -> None:
    rng = np.random.default_rng(2)
    counters = rng.integers(0, 2**32, (4, 100), np.uint64)
    key = (123456789, 2**32 - 5)
    got = np.stack(_noise.philox(list(counters), key), axis=1)
    want = [philox(32, tuple(int(x) for x in column), key) for column in counters.T]
    assert (got == want).all()


@pytest.mark.parametrize("backend", ["native", "reference"])
def test_an_element_has_its_place_in_the_stream(backend: Any) -> None:
    """Seed, step, tensor and element make key and counter; four elements share one."""
    seed, tensor, step, size = 5 + (77 << 32), 2, 3, 5003
    z = drawn(size, backend=backend, steps=step, seed=seed, tensors=4, number=tensor)
    for element in (0, 1, 2, 3, 4, 4095, 5002):
        words = philox(32, (element // 4, 0, tensor, step), (5, 77))
        u, v = words[element % 4 // 2 * 2 :][:2]
        radius = math.sqrt(-2 * math.log(((u >> 1) + 0.5) / 2**31))
        eighth = (v << 2) % 2**32
        turn = (eighth - 2**32 if eighth >= 2**31 else eighth) / 2**32 * math.pi / 2
        pair = [math.cos(turn) * (-1 if v >> 31 else 1), math.sin(turn)]
        if v >> 30 & 1:
            pair.reverse()
        assert z[element] == pytest.approx(radius * pair[element % 2], rel=1e-5, abs=1e-6)


def test_the_logarithm_is_good_over_its_whole_range() -> None:
    rng = np.random.default_rng(3)
    edges = np.array([0, 1, 2, 3, 2**31, 2**32 - 1, 2**32 - 2, 2**32 - 3], np.uint32)
    powers = 2 ** np.arange(1, 32, dtype=np.uint32)
    words = np.concatenate([edges, powers, rng.integers(0, 2**32, 100_000, np.uint32)])
    uniform = ((words >> 1).astype(np.float32) + np.float32(0.5)) * np.float32(2.0**-31)
    want = np.log(uniform.astype(np.float64))
    np.testing.assert_allclose(_noise._log_uniform(words), want, rtol=5e-7, atol=1e-12)


@pytest.mark.parametrize("backend", ["native", "reference"])
def test_normal_law(backend: Any) -> None:
    stats = pytest.importorskip("scipy.stats", reason="scipy is not installed")
    z = drawn(DRAWS, backend=backend, seed=42).astype(np.float64)
    # Each moment within four deviations of its estimate; the law within the 1 percent quantile.
    for power, moment, deviation in [(1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)]:
        assert abs((z**power).mean() - moment) < 4 * math.sqrt(deviation / DRAWS)
    assert stats.kstest(z, "norm").statistic < 1.63 / math.sqrt(DRAWS)
    assert 5 < np.abs(z).max() < 6.7
    for place in range(4):  # the four elements of a counter, each for itself
        assert stats.kstest(z[place::4], "norm").statistic < 1.63 / math.sqrt(DRAWS / 4)


def test_no_correlation_between_elements_tensors_steps_and_seeds() -> None:
    n = 1_000_000
    z = drawn(n)
    others = [
        drawn(n, steps=2),
        drawn(n, seed=1),
        drawn(n, seed=2**32),
        drawn(n, tensors=2, number=1),
    ]
    pairs = [(z, other) for other in others] + [(z[:-k], z[k:]) for k in (1, 2, 3, 4, 1024)]
    pairs += [(a**2 - 1, b**2 - 1) for a, b in pairs]
    for a, b in pairs:
        correlation = float(np.mean(a * b) / (np.std(a) * np.std(b)))
        assert abs(correlation) < 4.5 / math.sqrt(len(a))


def test_the_same_numbers_for_both_dtypes_and_any_company() -> None:
    z = drawn(5000)
    assert (drawn(5000, dtype=np.float64) == z).all()
    w, late = np.zeros(5000, np.float32), np.zeros(3)
    noise = instep.AddNoise(1.0, gamma=0.0)
    opt = instep.SGD([w, late], lr=1.0, transforms=[noise])
    opt.step([np.zeros_like(w), None])
    assert (w == -z).all()
    assert (late == 0).all()


def test_the_variance_fades() -> None:
    w = np.zeros(200_000)
    opt = instep.SGD([w], lr=1.0, transforms=[instep.AddNoise(0.3, gamma=0.55)])
    for t in range(1, 6):
        w[...] = 0
        opt.step([np.zeros_like(w)])
        assert w.var() == pytest.approx(0.3 / (1 + t) ** 0.55, rel=0.02)


@pytest.mark.parametrize("backend", ["native", "reference"])
def test_a_restored_run_goes_on_with_the_same_noise(backend: Any) -> None:
    def optimizer(w: np.ndarray) -> instep.Optimizer:
        return instep.Adam([w], transforms=[instep.AddNoise(1.0, seed=9)], backend=backend)

    first = np.zeros(100)
    opt = optimizer(first)
    opt.step([np.ones(100)])
    second = first.copy()
    other = optimizer(second)
    other.load_state_dict(opt.state_dict())
    for o in (opt, other):
        o.step([np.ones(100)])
    assert (first == second).all()


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, None, True])
def test_bad_seed(seed: Any) -> None:
    rule = r"^AddNoise: seed: must be an integer >= 0 and <= 18446744073709551615; got"
    with pytest.raises((TypeError, ValueError), match=rule):
        instep.AddNoise(1.0, seed=seed)
    assert instep.AddNoise(1.0, seed=2**64 - 1).seed == 2**64 - 1


@pytest.mark.parametrize("name", ["eta", "gamma"])
@pytest.mark.parametrize("value", [-0.1, np.nan, np.inf, "x", None])
def test_bad_argument(name: str, value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=rf"^AddNoise: {name}: must be a finite"):
        instep.AddNoise(**{"eta": 1.0, name: value})
