"""Starts workers, takes the place of those that die or hang, and adds up what happened.

``python campaign.py [MANY]`` prints a table for all kinds.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

WORKER = Path(__file__).with_name("worker.py")
HANG_S = 60.0
"""After which a case counts as one that hangs: on a busy machine too."""


@dataclass
class Figures:
    """Of one kind."""

    cases: int = 0
    read: int = 0
    refused: int = 0
    strange: list[str] = field(default_factory=list)
    deaths: list[int] = field(default_factory=list)
    hangs: list[int] = field(default_factory=list)
    peak_mb: int = 0

    @property
    def faults(self) -> int:
        """What may not happen."""
        return len(self.strange) + len(self.deaths) + len(self.hangs)

    def row(self, kind: str) -> str:
        """A line of the table."""
        counts = (self.cases, self.read, self.refused, len(self.strange), len(self.deaths))
        return f"| {kind} | {' | '.join(map(str, counts))} | {len(self.hangs)} | {self.peak_mb} |"


HEAD = (
    "| kind | mutations | read | refused | exceptions not ours | deaths | hangs | peak MB |\n"
    "|---|---|---|---|---|---|---|---|"
)


def campaign(kind: str, many: int, seed: int = 0) -> Figures:
    """So many mutations of a kind."""
    found = Figures()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        while found.cases < many:
            journal = folder / "journal"
            journal.unlink(missing_ok=True)
            rest = str(many - found.cases)
            words = [sys.executable, str(WORKER), kind, str(seed), str(found.cases), rest, name]
            worker = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            hangs = _watched(worker, journal)
            _add(found, journal, hangs)
    return found


def _watched(worker: subprocess.Popen[bytes], journal: Path) -> bool:
    """Wait for the end, or end it where nothing happens; whether that was so."""
    size, since = -1, time.monotonic()
    while worker.poll() is None:
        time.sleep(0.05)
        now = journal.stat().st_size if journal.exists() else 0
        if now != size:
            size, since = now, time.monotonic()
        elif time.monotonic() - since > HANG_S:
            worker.kill()
            worker.wait()
            return True
    return False


def _add(found: Figures, journal: Path, hangs: bool) -> None:
    lines = journal.read_text(encoding="utf-8").splitlines() if journal.exists() else []
    if not lines:
        raise RuntimeError("the worker did not begin: run it by hand to see why")
    begun: int | None = None
    for line in lines:
        if line.isdigit():
            begun = int(line)
        elif line.startswith("peak "):
            found.peak_mb = max(found.peak_mb, int(line.split()[1]))
        elif begun is not None:
            found.cases += 1
            found.read += line == "ok"
            found.refused += line == "ours"
            found.strange += [f"case {begun}: {line}"] if line not in ("ok", "ours") else []
            begun = None
    if begun is not None:
        found.cases += 1
        (found.hangs if hangs else found.deaths).append(begun)


def main() -> None:
    """All kinds."""
    sys.path.insert(0, str(WORKER.parent))
    from worker import SOURCES

    many = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    print(HEAD)
    faults = []
    for kind in SOURCES:
        found = campaign(kind, many)
        print(found.row(kind), flush=True)
        faults += [f"{kind}: {each}" for each in found.strange]
        faults += [f"{kind}: case {each} died" for each in found.deaths]
        faults += [f"{kind}: case {each} hangs" for each in found.hangs]
    print("\n".join(faults))


if __name__ == "__main__":
    main()
