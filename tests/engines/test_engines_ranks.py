"""Two ranks on gloo are one rank with the same global batch."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is an optional part")
pytest.importorskip("lightning_fabric")

from safetensors.torch import load_file  # noqa: E402

import stepwell  # noqa: E402
from stepwell.objectives import OBJECTIVES  # noqa: E402

SCRIPT = Path(__file__).with_name("ranks_agree.py")


def ran(command, world):
    """The processes of a world, to their end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    known = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    known |= {"PYTHONPATH": str(SCRIPT.parent.parent)}  # for tests/helpers.py
    known |= {"WORLD_SIZE": str(world), "LOCAL_WORLD_SIZE": str(world)} if world > 1 else {}
    processes = []
    for number in range(world):
        own = {"RANK": str(number), "LOCAL_RANK": str(number)} if world > 1 else {}
        environment = {**os.environ, **known, **own}
        processes.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE))
    errors = [process.communicate(timeout=300)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * world, errors
    return errors


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Folders of weights, of one rank and of two."""
    folders = {}
    for world in (1, 2):
        folders[world] = tmp_path_factory.mktemp(f"ranks{world}")
        ran([sys.executable, str(SCRIPT), str(folders[world])], world)
    return folders


@pytest.mark.parametrize("name", OBJECTIVES)
def test_two_ranks_are_one(trained, name):
    one, two = (load_file(trained[world] / f"{name}.safetensors") for world in (1, 2))
    assert one.keys() == two.keys()
    for key, value in one.items():
        torch.testing.assert_close(two[key], value, atol=1e-5, rtol=1e-5)


def test_two_ranks_learn_a_run_together(digits, tmp_path):
    """As ``torchrun -m stepwell learn …`` starts them."""
    out = tmp_path / "run"
    words = ["learn", str(digits), "--engine", "gradient", "--backbone", "helpers:tiny_net"]
    words += ["--device", "cpu", "--samples", "640", "--batch", "32", "--preset", "fast"]
    ran([sys.executable, "-m", "stepwell", *words, "--out", str(out), "--no-report"], 2)
    run = stepwell.load(out)
    assert run.config["train"]["steps"] == 20
    assert {path.name for path in tmp_path.iterdir()} == {"run"}
    with open(out / "steps.jsonl", encoding="utf-8") as lines:
        done = [event["done"] for event in map(json.loads, lines) if event["event"] == "train"]
    assert done[-1] == 640
