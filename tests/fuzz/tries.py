"""Many tries of something that may crash, hang or fill the memory, each told apart.

A child process makes one try after the other and says so on a pipe; when it dies, or says nothing
for too long, the try it was at is to blame, and another child goes on with the next.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import resource
import select
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
HOST_BYTES = 6 * 2**30
"""What a child may take before it is stopped for the sake of the machine."""


@dataclass
class Outcome:
    """What became of a campaign.

    Attributes
    ----------
    counts : mapping of str to int
        How tries ended: ``read``, ``refused``, ``crash``, ``hang``, or the name of an error.
    failures : list of (seed, what)
        Those that ended in none of the ways they may.
    peak_mb : float
        Most memory of a child during a try.
    slowest_s : float
        Longest try.
    """

    counts: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[int, str]] = field(default_factory=list)
    peak_mb: float = 0.0
    peak_seed: int = -1
    slowest_s: float = 0.0
    slowest_seed: int = -1

    def line(self, name: str) -> str:
        """The figures, for people."""
        ways = ", ".join(f"{n:,} {way}" for way, n in sorted(self.counts.items()))
        return (
            f"{name}: {sum(self.counts.values()):,} mutations ({ways}), "
            f"peak {self.peak_mb:,.0f} MB, slowest {self.slowest_s:.1f} s, "
            f"{len(self.failures)} failures"
        )


def run(target: str, kind: str, seeds: range, folder: Path, *, timeout_s: float = 60.0) -> Outcome:
    """Try ``target`` (``module:function``, called with kind, seed and a folder) for each seed.

    The function returns how it ended; an error is a failure, with its last lines.
    """
    outcome = Outcome()
    left = seeds
    while len(left):
        left = _batch(target, kind, left, folder, timeout_s, outcome)
    return outcome


def _batch(
    target: str, kind: str, seeds: range, folder: Path, timeout_s: float, outcome: Outcome
) -> range:
    """One child's share; what is left for the next."""
    command = [sys.executable, __file__, target, kind, str(seeds.start), str(seeds.stop)]
    child = subprocess.Popen(
        [*command, str(folder)], stdout=subprocess.PIPE, start_new_session=True
    )
    assert child.stdout is not None
    at, held, hung = seeds.start, b"", False
    while True:
        if not select.select([child.stdout], [], [], timeout_s)[0]:
            hung = True
            break
        piece = os.read(child.stdout.fileno(), 2**16)
        if not piece:
            break
        *lines, held = (held + piece).split(b"\n")
        for line in lines:
            at = _noted(line.decode("utf-8", "replace"), outcome) + 1
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)  # its own session: also what it started
    child.stdout.close()
    code = child.wait()
    if at < seeds.stop:
        what = f"nothing for {timeout_s:.0f} s" if hung else f"ended by {-code or code}"
        outcome.counts["hang" if hung else "crash"] += 1
        outcome.failures.append((at, what))
        at += 1
    return range(at, seeds.stop)


def _noted(line: str, outcome: Outcome) -> int:
    """What a child said of a try; its seed."""
    seed, ending, seconds, peak, detail = line.split("\t", 4)
    outcome.counts[ending] += 1
    if detail:
        outcome.failures.append((int(seed), detail.replace("\\n", "\n")))
    if float(seconds) > outcome.slowest_s:
        outcome.slowest_s, outcome.slowest_seed = float(seconds), int(seed)
    if float(peak) > outcome.peak_mb:
        outcome.peak_mb, outcome.peak_seed = float(peak), int(seed)
    return int(seed)


def _peak_mb() -> float:
    """Most memory since the last call, of this process and of those it started."""
    with contextlib.suppress(OSError), open("/proc/self/status") as status:
        own = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
        return own / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def child(target: str, kind: str, first: int, last: int, folder: str) -> None:
    """Tries one after the other, each told on the pipe as it ends."""
    said = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="replace")
    os.dup2(2, 1)  # what is printed by others is not an answer
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (HOST_BYTES * 4, HOST_BYTES * 4))
    resource.setrlimit(resource.RLIMIT_DATA, (HOST_BYTES, HOST_BYTES))
    sys.path.insert(0, str(HERE))
    module, _, name = target.partition(":")
    function = getattr(importlib.import_module(module), name)
    for seed in range(first, last):
        start, detail = time.monotonic(), ""
        _peak_mb()
        try:
            ending = function(kind, seed, Path(folder))
        except BaseException as error:
            ending = type(error).__name__
            lines = traceback.format_exception(error, limit=-4)
            detail = "".join(lines).strip().replace("\t", " ").replace("\n", "\\n")[-1500:]
        seconds = time.monotonic() - start
        print(seed, ending, f"{seconds:.3f}", f"{_peak_mb():.1f}", detail, sep="\t", file=said)
        said.flush()


if __name__ == "__main__":
    child(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
