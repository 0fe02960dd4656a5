"""Parts of a data set: which of its tables are for training, which for testing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from stepwell.interfaces import UsageError
from stepwell.kit.names import nearest

_SHARD = re.compile(r"[-_.]?(\d+-of-\d+|(part|shard|chunk)?[-_.]?\d+)$", re.I)
"""How names of files end that are one of several of a split."""
_OF = re.compile(r"^(?P<split>.+)-\d+-of-\d+$")
"""How Hugging Face calls files of a split, whatever that is called."""
_WORDS = (
    "train",
    "training",
    "test",
    "testing",
    "validation",
    "valid",
    "val",
    "dev",
    "unsupervised",
)
_WORD = re.compile(rf"^({'|'.join(_WORDS)})(?=[-_.]|$)", re.I)
_NOT = ("data", "dataset", "part", "shard", "chunk", "batch")
"""Names of files that only number them."""


def split_of_tables(
    path: Path, ids: Sequence[str], wanted: str | None
) -> tuple[str | None, list[str]]:
    """The split to read where there are several, and which of the tables it has.

    Parameters
    ----------
    path : path
        A folder.
    ids : sequence of str
        Its tables, by their paths in it.
    wanted : str or None
        A split by name; None: ``train``, where there is one.

    Raises
    ------
    UsageError
        If there is no such split, or several and none called train.
    """
    found = _splits(path, ids)
    names = list(dict.fromkeys(name for name in found.values() if name is not None))
    listed = ", ".join(sorted(names))
    if wanted is None and len(names) < 2:
        return None, list(ids)
    split = _meant(wanted, names) if wanted is not None else _meant("train", names)
    if wanted is None and split is None:
        raise UsageError(
            f"Expected a split to read in {path}, found {listed}: name one of them, "
            f"-o split={sorted(names)[0]}."
        )
    if split is None:
        raise UsageError(
            f"Expected a split of {path}, found {wanted!r}.{nearest(str(wanted), names)} "
            f"Splits: {listed or 'none; leave it out'}."
        )
    return split, [id for id in ids if found[id] == split]


def _meant(wanted: str, names: Sequence[str]) -> str | None:
    """The split of a name, whatever its capitals; training is train."""
    lower = {name.lower(): name for name in names}
    same = [wanted, wanted.lower(), *(("training",) if wanted == "train" else ())]
    return next((lower[name] for name in same if name in lower), None)


def _splits(path: Path, ids: Sequence[str]) -> dict[str, str | None]:
    """The split of each table, None where it has none."""
    noted = _noted(path)
    if noted:
        return {id: next((part for part in id.split("/") if part in noted), None) for id in ids}
    full = {id: _full(id) for id in ids}
    numbered = {name for id, name in full.items() if _OF.match(_stem(id))}  # called so for sure
    short = {
        name: word[0].lower()
        for name in full.values()
        if name and name not in numbered and (word := _WORD.match(name))
    }
    # `train_a` and `train_b` are two splits; `train_reviews` alone is the one for training.
    several = {word for word in short.values() if sum(w == word for w in short.values()) > 1}
    return {id: _called(name, short, several) for id, name in full.items()}


def _called(name: str | None, short: Mapping[str, str], several: set[str]) -> str | None:
    if name is None:
        return None
    word = short.get(name)
    return name if word is None or word in several else word


def _full(id: str) -> str | None:
    """The name of a table's split as its folder or its file says it; None where neither does."""
    *folders, _ = id.split("/")
    stem = _stem(id)
    for folder in folders:
        if _WORD.match(folder):
            return folder
    if (match := _OF.match(stem)) and match["split"].lower() not in _NOT:
        return match["split"]
    bare = _SHARD.sub("", stem)
    return bare if _WORD.match(bare) else None


def _stem(id: str) -> str:
    return id.rpartition("/")[2].partition(".")[0]


def _noted(path: Path) -> set[str]:
    """Splits that ``save_to_disk`` noted."""
    try:
        found = json.loads((path / "dataset_dict.json").read_bytes()[:1_000_000])["splits"]
        return {name for name in found if isinstance(name, str)}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return set()
