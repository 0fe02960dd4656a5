"""Where examples come from."""

from __future__ import annotations

from stepwell.sources.archive import ArchiveSource
from stepwell.sources.folder import FolderSource

SOURCES = {"archive": ArchiveSource, "folder": FolderSource}
