"""Ends a verb before each of its file-system operations, and looks at what is left.

``python kill.py [STEP]``. A child is forked for each operation, which ends at once, as ``kill -9``
would end it. What is then read has to be whole: the old or the new, or nothing where there was
nothing. The next command has to work, and to leave nothing over.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
EVENTS = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate")
KILLED = 77


class Deadly:
    """Counts operations that change files, and ends the process before one of them."""

    def __init__(self, at: int | None) -> None:
        self.count, self._at = 0, at
        sys.addaudithook(self._heard)

    def _heard(self, event: str, words: tuple[Any, ...]) -> None:
        if event == "open":
            flags = words[2] if isinstance(words[2], int) else 0
            mode = words[1] if isinstance(words[1], str) else ""
            if not (flags & WRITES or set(mode) & set("wax+")):
                return
        elif event not in EVENTS:
            return
        self.step()

    def step(self) -> None:
        """One more operation."""
        if self.count == self._at:
            os._exit(KILLED)
        self.count += 1


def child(work: Callable[[], object], at: int | None, two: bool) -> tuple[bool, int]:
    """Whether a child was ended in the middle of its work, and how many operations it got to."""
    told, tell = os.pipe()
    process = os.fork()
    if process == 0:
        _as_child(work, at, two, tell)
    os.close(tell)
    with os.fdopen(told, "rb") as file:
        count = int(file.read() or b"-1")
    _, status = os.waitpid(process, 0)
    code = os.waitstatus_to_exitcode(status)
    if code not in (0, KILLED):
        raise RuntimeError(f"operation {at}: the child ended with {code}")
    return code == KILLED, count


def _as_child(work: Callable[[], object], at: int | None, two: bool, tell: int) -> NoReturn:
    from stepwell.kit import folders

    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    deadly = Deadly(at)
    plain, fsync = folders.exchanged, os.fsync

    def exchanged(one: Path, other: Path) -> bool:
        deadly.step()
        return False if two else plain(one, other)

    def synced(handle: int) -> None:
        deadly.step()
        fsync(handle)

    folders.exchanged, os.fsync = exchanged, synced
    try:
        work()
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        os._exit(1)
    os.write(tell, str(deadly.count).encode())
    os._exit(0)


def called(*words: object) -> Callable[[], object]:
    """A verb of the command line."""

    def work() -> object:
        from stepwell.cli.main import cli

        return cli.main([str(word) for word in words], standalone_mode=False)

    return work


class Scene:
    """A run with a head, labels, and what verbs of it write."""

    def __init__(self, root: Path) -> None:
        from PIL import Image

        self.root, self.work = root, root / "work"
        for i in range(24):
            pixels = np.random.default_rng(i).integers(0, 90, (12, 12, 3), np.uint8)
            pixels[:, : 4 * (1 + i % 2)] += 120
            target = root / "data" / "ab"[i % 2] / f"{i}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(target)
        for name, rows in (("few", range(8)), ("more", range(8, 20))):
            lines = [f"{'ab'[i % 2]}/{i}.png,{'ab'[i % 2]}" for i in rows]
            (root / f"{name}.csv").write_text("\n".join(["file,label", *lines]))
        data, run = root / "data", self.work / "run"
        self.learned = ("learn", data, "--out", run, "--preset", "fast", "--no-report")
        self.before: Callable[[], None] = lambda: None

    def verbs(self) -> dict[str, tuple[list[tuple[object, ...]], tuple[object, ...]]]:
        """By name: what comes before, and the verb."""
        run, out, few, more = (
            self.work / "run",
            self.work / "out",
            self.root / "few.csv",
            self.root / "more.csv",
        )
        first, data = self.learned, self.root / "data"
        head = ("finetune", run, "--labels", few)
        return {
            "learn": ([], first),
            "learn --overwrite": ([first, head], (*first, "--seed", "4", "--overwrite")),
            "finetune": ([first], head),
            "finetune again": ([first, head], ("finetune", run, "--labels", more)),
            "finetune --add": ([first, head], ("finetune", run, "--labels", more, "--add")),
            "evaluate": ([first], ("evaluate", run, "--labels", data)),
            "report": ([first], ("report", run)),
            "embed": ([first], ("embed", run, data, "--out", out.with_suffix(".npy"))),
            "predict": ([first, head], ("predict", run, data, "--out", out.with_suffix(".csv"))),
            "suggest": ([first], ("suggest", run, "--out", out.with_suffix(".csv"))),
        }


def state(work: Path) -> str:
    """What a reader finds: ``absent``, or the seed of the run and how many labels its head has."""
    from stepwell.heads import has_head, labels_before
    from stepwell.run import load

    run = work / "run"
    try:
        opened = load(run)
    except Exception as error:
        if "Expected the directory of a run" in str(error):
            return "absent"
        raise
    opened.embed(
        np.zeros((2, 12, 12, 3), np.uint8) + np.arange(2, dtype=np.uint8)[:, None, None, None]
    )
    labels = len(labels_before(opened)) if has_head(opened) else 0
    return f"seed {opened.config['learn']['seed']}, {labels} labels"


def leftovers(work: Path) -> list[str]:
    """Files and folders of ours that nobody needs."""
    return [str(p.relative_to(work)) for p in work.rglob(".*") if not p.name.endswith(".training")]


def campaign(scene: Scene, name: str, two: bool, step: int = 1) -> str:
    """All operations of a verb; a line of the table."""
    before, verb = scene.verbs()[name]
    shutil.rmtree(scene.work, ignore_errors=True)
    scene.work.mkdir()
    for words in before:
        child(called(*words), None, two)
    shutil.rmtree(scene.root / "before", ignore_errors=True)
    shutil.copytree(scene.work, scene.root / "before")
    old = state(scene.work)
    _, operations = child(called(*verb), None, two)
    new = state(scene.work)
    counts = dict.fromkeys(("tried", "old", "new", "absent", "lost", "left"), 0)
    for at in range(0, operations, step):
        shutil.rmtree(scene.work)
        shutil.copytree(scene.root / "before", scene.work)
        killed, _ = child(called(*verb), at, two)
        if not killed:
            break
        counts["tried"] += 1
        found = state(scene.work)
        counts["old"] += found == old != "absent"
        counts["new"] += found == new != old
        counts["absent"] += found == old == "absent"
        counts["lost"] += found not in (old, new)
        again = [word for word in verb if word != "--add"] if found == new else list(verb)
        replaces = ("--overwrite",) if "--out" in verb and "--overwrite" not in verb else ()
        child(called(*again, *replaces), None, two)
        counts["left"] += bool(leftovers(scene.work))
    return f"| {name}{' (two renames)' if two else ''} | {' | '.join(map(str, counts.values()))} |"


HEAD = (
    "| verb | killed before | old read | new read | absent, as before | lost | left over |\n"
    "|---|---|---|---|---|---|---|"
)


def main() -> None:
    """All verbs; ``python kill.py STEP`` every so many operations."""
    import stepwell.cli.main
    import stepwell.finetuning
    import stepwell.learner
    import stepwell.predicting  # noqa: F401

    step = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    print(HEAD)
    with tempfile.TemporaryDirectory() as name:
        os.environ["XDG_CONFIG_HOME"] = str(Path(name) / "config")
        scene = Scene(Path(name))
        for verb in scene.verbs():
            for two in (False, True):
                print(campaign(scene, verb, two, step), flush=True)


if __name__ == "__main__":
    main()
