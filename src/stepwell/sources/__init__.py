"""Where examples come from: one file a kind. ``open_source`` finds the right one."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np

from stepwell.interfaces import Source, UsageError
from stepwell.kit.names import nearest
from stepwell.kit.plugins import registered
from stepwell.sources.archive import Tar, Zip
from stepwell.sources.arrays import Arrays
from stepwell.sources.folder import Folder
from stepwell.sources.idx import Idx
from stepwell.sources.tables import Table

SOURCES: dict[str, Any] = {
    "arrays": Arrays,
    "idx": Idx,
    "table": Table,
    "zip": Zip,
    "tar": Tar,
    "folder": Folder,
}
"""Tried in this order; plug-ins (entry points ``stepwell.sources``) come before them."""


def open_source(where: Any, **options: Any) -> Source:
    """Open data for reading.

    Parameters
    ----------
    where : path, array or Source
        A folder of images, .zip, .tar, .npy, .npz, IDX, Parquet or Arrow file, a saved
        Hugging Face dataset folder, an array (n, h, w[, c]), or a source already open.
    options
        What the source takes: ``canvas``, ``group_by``, ``strict``, ``array``, ``split``,
        ``column`` …; what it does not know is an error.

    Raises
    ------
    UsageError
        If nothing is there, or nothing that any source reads.
    """
    if hasattr(where, "batches"):
        source: Source = where
        return source
    if where is None:
        raise UsageError("Expected data, found none: its path was not kept; give it again.")
    if isinstance(where, (np.ndarray, list)):
        return _built(Arrays, np.asarray(where), options)
    path = Path(where)
    if not path.exists():
        siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise UsageError(
            f"Expected a folder or file, found nothing at {path}.{nearest(path.name, siblings)}"
        )
    for kind in registered("sources", SOURCES).values():
        if kind.accepts(path):
            return _built(kind, path, options)
    raise UsageError(
        f"Expected images (a folder, .zip, .tar, .npy, .npz, IDX, Parquet or Arrow), found "
        f"{path.suffix or 'a file'} at {path}. A plug-in can add a kind: see CONTRIBUTING.md."
    )


def _built(kind: Any, where: Any, options: dict[str, Any]) -> Source:
    known = set(inspect.signature(kind.__init__).parameters)
    for parent in kind.__mro__:
        known |= set(inspect.signature(parent.__init__).parameters) if parent is not object else set()
    given = {name: value for name, value in options.items() if name in known}
    for name in sorted(set(options) - set(given) - {"strict", "canvas"}):
        raise UsageError(
            f"Expected an option of {kind.__name__}, found {name!r}."
            f"{nearest(name, known - {'self', 'options'})}"
        )
    source: Source = kind(where, **given)
    return source


__all__ = ["SOURCES", "open_source"]
