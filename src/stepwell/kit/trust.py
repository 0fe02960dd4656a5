"""What a file may ask for: no code that the user has not named, no path that the user's own
stepwell has not written.

A run, or what a stopped training left, may come from somebody else. Whatever stands in its files is
data: a name of code in it is imported only where the user names that code too, and a path in it is
followed only where a seal shows that this user's stepwell wrote it.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stepwell.interfaces import StepwellError

TRUST = "STEPWELL_TRUST"
"""Environment variable that names code of one's own that may be run when a run is opened."""
PATHS = ("target",)
"""Options of a source that are paths: followed only where the source's own path is."""
_NAMED: set[str] = set()
_SECRET = "secret"


def trust(name: str) -> None:
    """Let code be imported: the user has named it in this call.

    Never with a name out of a file.
    """
    _NAMED.add(name)


def trusted(name: str) -> bool:
    """Whether the user has named this code, in this process or in the environment."""
    return name in _NAMED or name in named_in_environment()


def named_in_environment() -> list[str]:
    """Code that the user has named there."""
    return os.environ.get(TRUST, "").split()


def check_code(name: str) -> None:
    """Raise for code that the user has not named.

    Raises
    ------
    StepwellError
    """
    if not trusted(name):
        raise StepwellError(
            f"Expected what timm or stepwell makes, found one made by the code {name!r}, which "
            f"opening it would run. If you trust that code: {TRUST}={name} stepwell …"
        )


def without_paths(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a source that say how it is read, not what."""
    return {name: value for name, value in options.items() if name not in PATHS}


def seal(content: Any) -> str:
    """What shows later that this user's stepwell wrote it; empty where no secret can be kept.

    The secret (32 random bytes in a file that only the user reads) stays on this machine: what is
    given away lets nobody write something else with a right seal.
    """
    key = _secret()
    if key is None:
        return ""
    text = json.dumps(content, sort_keys=True, default=str)
    return hmac.new(key, text.encode("utf-8", "backslashreplace"), hashlib.sha256).hexdigest()


def sealed(content: Any, found: object) -> bool:
    """Whether a seal is that of this user's stepwell on just this content."""
    own = seal(content)
    return bool(own) and hmac.compare_digest(str(found).encode(), own.encode())


def _secret() -> bytes | None:
    """Made when it is first asked for; None where nothing can be written."""
    for folder in _places():
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not _private(folder):
                continue
            return _kept(folder / _SECRET)
        except OSError:
            continue
    return None


def _private(folder: Path) -> bool:
    """Whether a folder is one of the user's own, and no link that somebody laid there."""
    found = folder.lstat() if folder.parent == Path(tempfile.gettempdir()) else folder.stat()
    own = not hasattr(os, "getuid") or found.st_uid == os.getuid()
    return own and stat.S_ISDIR(found.st_mode)


def _places() -> list[Path]:
    """Where the secret may be, the best first."""
    base = os.environ.get("XDG_CONFIG_HOME") or os.environ.get("APPDATA")
    places = [Path(base) / "stepwell"] if base else []
    with contextlib.suppress(RuntimeError):  # a user without a home
        places += [] if places else [Path.home() / ".config" / "stepwell"]
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "")
    return [*places, Path(tempfile.gettempdir()) / f"stepwell-{user}"]


def _kept(path: Path) -> bytes:
    """The secret in a file, made whole by the first who asks."""
    if not path.is_file():
        scratch = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
        handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(handle, secrets.token_bytes(32))
            os.fsync(handle)
        finally:
            os.close(handle)
        try:
            os.link(scratch, path)  # the first of several wins
        except FileExistsError:
            pass
        except OSError:  # a file system without links
            os.replace(scratch, path)
        finally:
            scratch.unlink(missing_ok=True)
    found = path.read_bytes()
    if len(found) != 32:
        raise OSError("not a whole secret")
    return found
