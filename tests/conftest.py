"""Small real images, a cheap encoder, and the command line as a function."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from helpers import START, Said, environment, installed, write_digits
from threadpoolctl import threadpool_limits

import stepwell
from stepwell.interfaces import Batch, concatenate
from stepwell.sources import open_source

# No test here is about time: a busy machine must not fail one.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


@pytest.fixture(scope="session", autouse=True)
def _secret_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing is written into the home of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _one_thread_of_blas() -> Iterator[None]:
    """Where other work runs beside the tests, threads of BLAS that wait for each other in a
    busy loop take several times as long as one alone."""
    with threadpool_limits(1):
        yield


@pytest.fixture
def tiny() -> Iterator[None]:
    """The cheap encoder of tests/plugins/tiny is the default for images."""
    with installed("tiny"):
        yield


@pytest.fixture
def call(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Said]:
    """``stepwell …`` in this process, errors and exit codes as in a shell."""
    from stepwell.cli import main

    def run(*words: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["stepwell", *map(str, words)])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        return Said(code, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def spawn() -> Callable[..., Said]:
    """``stepwell …`` as a process of its own."""

    def run(*words: object, plugins: tuple[str, ...] = ("tiny",), **options: Any) -> Said:
        command = [sys.executable, "-c", START, *map(str, words)]
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment(*plugins), **options
        )
        return Said(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """100 handwritten digits in nested folders. Read only."""
    return write_digits(tmp_path_factory.mktemp("digits"), 100)


@pytest.fixture(scope="session")
def digit_batch(digits: Path) -> Batch:
    """The same digits, read."""
    return concatenate(open_source(digits).batches(64))


@pytest.fixture(scope="session")
def tiny_run(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run learned from the digits with the cheap encoder. Read only; needs ``tiny``."""
    out = tmp_path_factory.mktemp("runs") / "tiny"
    with installed("tiny"):
        stepwell.learn(digits, out, report=False)
    return out


@pytest.fixture(scope="session")
def photos_run(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run learned from the digits as a user would, scored and reported. Read only."""
    out = tmp_path_factory.mktemp("runs") / "digits"
    stepwell.learn(digits, out, preset="fast", evaluate_with=digits)
    return out


@pytest.fixture(autouse=True)
def _own_code_of_one_test_only(monkeypatch):
    """Classes that a test passes to ``learn`` are not found by the next one."""
    from stepwell.kit import plugins

    monkeypatch.setattr(plugins, "_ADDED", {k: dict(v) for k, v in plugins._ADDED.items()})
