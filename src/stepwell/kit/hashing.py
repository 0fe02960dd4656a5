"""Random numbers that are integer hashes, and digests of content.

A random number here is a function of (seed, digest, epoch, view, slot) and of
nothing else: not of the batch, the order, the thread or a library's version.
The mixer is SplitMix64 (Steele, Lea & Flood, OOPSLA 2014).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

U64 = NDArray[np.uint64]
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def mix(x: U64) -> U64:
    """SplitMix64's finaliser: a bijection of 64-bit integers that looks random."""
    with np.errstate(over="ignore"):
        x = x + _GOLDEN
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


def keys(digest: U64, *words: int) -> U64:
    """One 64-bit key per example.

    Parameters
    ----------
    digest : (n, 2) uint64
    words : int
        What distinguishes this use: seed, epoch, view …

    Returns
    -------
    (n,) uint64
    """
    key = mix(digest[:, 0]) ^ digest[:, 1]
    for word in words:
        key = mix(key ^ np.uint64(word & 0xFFFFFFFFFFFFFFFF))
    return key


def uniform(key: U64, slots: int) -> NDArray[np.float64]:
    """(n, slots) numbers in [0, 1), 53 random bits each, from (n,) keys."""
    slot = np.arange(1, slots + 1, dtype=np.uint64)
    with np.errstate(over="ignore"):
        return _share(mix(key[:, None] + slot[None, :] * _GOLDEN))


def uniform_each(key: U64, counts: NDArray[np.intp]) -> NDArray[np.float64]:
    """So many numbers of each key, one key's after the other's; the same as :func:`uniform`'s."""
    slot = np.arange(1, counts.sum() + 1) - np.repeat(np.cumsum(counts) - counts, counts)
    with np.errstate(over="ignore"):
        return _share(mix(np.repeat(key, counts) + slot.astype(np.uint64) * _GOLDEN))


def _share(bits: U64) -> NDArray[np.float64]:
    """Numbers in [0, 1) of 53 bits."""
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def digest_bytes(content: bytes | memoryview) -> tuple[int, int]:
    """128-bit BLAKE2b digest of bytes, as two 64-bit integers."""
    high, low = digest_rows([content])[0].tolist()
    return high, low


def digest_rows(rows: Iterable[bytes | memoryview]) -> U64:
    """(n, 2) digests of n byte strings."""
    raw = b"".join(hashlib.blake2b(row, digest_size=16).digest() for row in rows)
    return np.frombuffer(raw, "<u8").reshape(-1, 2).astype(np.uint64)


def hash_text(seed: int, texts: Iterable[str]) -> U64:
    """(n,) hashes of texts: what draws founders and folds from groups."""
    prefix = f"{seed}\0".encode()
    return digest_rows(prefix + t.encode("utf-8", "surrogatepass") for t in texts)[:, 0]


def drawn(seed: int, texts: Iterable[str], count: int) -> NDArray[np.intp]:
    """Places of the ``count`` texts with the lowest hashes: the same texts wherever they are."""
    return np.argsort(hash_text(seed, texts), kind="stable")[:count]


def fold_of(seed: int, group: Iterable[str], folds: int = 10) -> NDArray[np.int8]:
    """(n,) fold 0 … folds-1 of each group, the same wherever the group appears."""
    return (hash_text(seed, group) % np.uint64(folds)).astype(np.int8)


def fifth_of(seed: int, group: Iterable[str]) -> NDArray[np.bool_]:
    """(n,) whether each is of the fifth of groups that is held back to judge by."""
    return np.isin(fold_of(seed, group), (0, 1))
