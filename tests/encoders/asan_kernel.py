"""The patch kernel under AddressSanitizer, with sizes that fit and sizes that do not.

``python asan_kernel.py LIBRARY MANY``: the library is ``fused.c`` compiled with
``-fsanitize=address,undefined``, whose runtime has to be loaded before Python.
"""

from __future__ import annotations

import ctypes
import random
import sys

import numpy as np

from stepwell.encoders.patches.fused import _ARRAYS, _INTS, _Counts, _Shape, _Weights

ABSURD = (-(2**31), -4096, -1, 0, 1, 7, 33, 2**15, 2**31 - 1)


def fitting(rng: random.Random) -> dict[str, int]:
    """Sizes as a stream has them."""
    patch, stride, channels = rng.choice((2, 6)), rng.choice((1, 2, 3)), rng.choice((1, 3))
    side = patch + stride * rng.randrange(0, 6)
    modes = 16 * rng.randrange(1, 5)
    found = {"side": side, "channels": channels, "patch": patch, "stride": stride}
    found |= {"grid": (side - patch) // stride + 1, "bins": rng.choice((1, 4))}
    found |= {
        "half": rng.randrange(1, patch * patch * channels + 1),
        "atoms": 32 * rng.randrange(1, 10),
    }
    return found | {"modes": modes, "even": 16 * rng.randrange(0, modes // 16 + 1), "bar": 12}


def lengths(of: dict[str, int], n: int) -> dict[str, int]:
    """How many numbers the kernel reads and writes of each array."""
    p, steps = of["patch"] ** 2 * of["channels"], (of["half"] + 1) // 2
    found = {"mean": p, "whiten": -(-2 * of["half"] // 16) * 16 * p}
    found |= {"dict": of["atoms"] * 4 * steps, "start": 2 * of["atoms"]}
    found |= {"rows": of["atoms"] * of["modes"], "offset": of["modes"]}
    found |= {"pool": of["bins"] * of["grid"], "images": n * of["side"] ** 2 * of["channels"]}
    return found | {"out": n * of["bins"] ** 2 * of["modes"]}


def case(kernel: ctypes.CDLL, rng: random.Random) -> int:
    """One call; what it returned."""
    of, n = fitting(rng), rng.randrange(0, 4)
    need = lengths(of, n)
    kinds = {"dict": np.int8, "start": np.int16}
    given = np.random.default_rng(rng.randrange(2**32))
    arrays = {}
    for name, count in need.items():
        short = rng.random() < 0.05
        size = rng.randrange(0, count + 1) if short else count
        kind = kinds.get(name, np.float32)
        values = given.integers(-128, 128, size) if name in kinds else given.normal(size=size)
        if rng.random() < 0.02 and size:
            values = values * np.nan if name not in kinds else values
        arrays[name] = np.ascontiguousarray(values.astype(kind))
    for name in of:
        if rng.random() < 0.06:
            of[name] = rng.choice(ABSURD)
    if rng.random() < 0.05:
        n = rng.choice((-1, 5, 2**40))
    shape = _Shape(*(of[name] for name in _INTS), 10.0)
    weights = _Weights(*(arrays[name].ctypes.data for name in _ARRAYS))
    counts = _Counts(*(arrays[name].size for name in (*_ARRAYS, "images", "out")))
    pointer = ctypes.c_void_p
    return int(
        kernel.stepwell_encode(
            ctypes.byref(shape),
            ctypes.byref(weights),
            ctypes.byref(counts),
            pointer(arrays["images"].ctypes.data),
            ctypes.c_long(n),
            pointer(arrays["out"].ctypes.data),
        )
    )


def answers(kernel: ctypes.CDLL, rng: random.Random) -> int:
    """One call of the other function."""
    n, half, atoms = 5 * rng.randrange(0, 20), rng.randrange(1, 60), 32 * rng.randrange(1, 5)
    steps = (half + 1) // 2
    need = [n * 8 * steps, atoms * 4 * steps, 2 * atoms, n * atoms, n * atoms]
    sizes = [rng.randrange(0, count + 1) if rng.random() < 0.05 else count for count in need]
    kinds = (np.uint8, np.int8, np.int16, np.float32, np.float32)
    arrays = [np.ones(size, kind) for size, kind in zip(sizes, kinds, strict=True)]
    at = [ctypes.c_void_p(a.ctypes.data) for a in arrays]
    if rng.random() < 0.3:
        n, half, atoms = (rng.choice((*ABSURD, value)) for value in (n, half, atoms))
    count = (ctypes.c_size_t * 5)(*sizes)
    size = ctypes.c_long(n)
    return int(
        kernel.stepwell_answers(at[0], size, half, at[1], at[2], atoms, 9, at[3], at[4], count)
    )


def main() -> None:
    """Many calls; what they returned, by how often."""
    kernel = ctypes.CDLL(sys.argv[1])
    told: dict[str, int] = {}
    for number in range(int(sys.argv[2])):
        rng = random.Random(number)
        for work in (case, answers):
            key = f"{work.__name__} {work(kernel, rng)}"
            told[key] = told.get(key, 0) + 1
    print(told)


if __name__ == "__main__":
    main()
