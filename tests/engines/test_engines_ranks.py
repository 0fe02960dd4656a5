"""Two ranks on gloo are one rank with the same global batch."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="torch is an optional part")
pytest.importorskip("lightning_fabric")

from safetensors.torch import load_file  # noqa: E402

import stepwell  # noqa: E402
from stepwell.contestants import TWIN  # noqa: E402
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
    """Folders of weights, of one rank, of two, and of two with a share of the weights each."""
    folders = {}
    for name, world, more in (("one", 1, ()), ("two", 2, ()), ("shards", 2, ("shards",))):
        folders[name] = tmp_path_factory.mktemp(name)
        ran([sys.executable, str(SCRIPT), str(folders[name]), *more], world)
    return folders


@pytest.mark.parametrize("way", ["two", "shards"])
@pytest.mark.parametrize("name", [*(f"{name}-SGD" for name in OBJECTIVES), "simclr-AdamW"])
def test_two_ranks_are_one(trained, name, way):
    one, two = (load_file(trained[each] / f"{name}.safetensors") for each in ("one", way))
    assert one.keys() == two.keys()
    # Adam makes steps of the gradient of a bias that batch normalisation takes off again: rounding.
    near = 1e-7 if name.endswith("AdamW") else 1e-9
    for key, value in one.items():
        torch.testing.assert_close(two[key], value, atol=near, rtol=near)


SHARDS = pytest.param(("--shard",), marks=pytest.mark.slow)  # the loop itself is tested above


@pytest.mark.parametrize("more", [(), SHARDS], ids=["whole", "shards"])
def test_two_ranks_learn_a_run_together(digits, tmp_path, more):
    """As ``torchrun -m stepwell learn …`` starts them."""
    out = tmp_path / "run"
    words = ["learn", str(digits), "--engine", "gradient", "--backbone", "helpers:tiny_net"]
    words += ["--device", "cpu", "--samples", "640", "--batch", "32", "--preset", "fast"]
    ran([sys.executable, "-m", "stepwell", *words, "--out", str(out), "--no-report", *more], 2)
    run = stepwell.load(out)
    assert run.config["train"]["steps"] == 20
    assert run.config["train"]["sharded"] is bool(more)
    assert {path.name for path in tmp_path.iterdir()} == {"run"}
    with open(out / "steps.jsonl", encoding="utf-8") as lines:
        done = [event["done"] for event in map(json.loads, lines) if event["event"] == "train"]
    assert done[-1] == 640


def test_two_ranks_learn_from_texts_together(tmp_path):
    """Rows of tokens are shared as images are, and the same texts are held out on both."""
    file, out = tmp_path / "texts.txt", tmp_path / "run"
    file.write_text("".join(f"the {n} cats and {n % 7} dogs sleep on mat {n}\n" for n in range(99)))
    words = ["learn", str(file), "-o", "unit=line", "--pretext", "next", "--samples", "64"]
    words += ["--batch", "4", "--preset", "fast", "--device", "cpu", "--no-report"]
    ran([sys.executable, "-m", "stepwell", *words, "--out", str(out)], 2)
    run = stepwell.load(out)
    assert run.config["train"]["steps"] == 16
    assert run.has(TWIN)
    scores = json.loads((out / "scores.json").read_text())
    assert 0 < scores["bits"]["transformer"] < 8
    assert {path.name for path in tmp_path.iterdir()} == {"run", "texts.txt"}


def test_two_ranks_train_a_text_model_of_others(tmp_path):
    """All of its weights get a gradient, or the ranks would wait for each other."""
    from text_models import TEXTS, bert

    file, out, rng = tmp_path / "texts.txt", tmp_path / "run", np.random.default_rng(0)
    words = " ".join(TEXTS[:2]).split()
    file.write_text("".join(" ".join(rng.permutation(words)[:9]) + "\n" for _ in range(99)))
    words = ["learn", str(file), "-o", "unit=line", "--backbone", str(bert(tmp_path / "model"))]
    words += ["--engine", "gradient", "--samples", "96", "--device", "cpu", "--no-shuffled"]
    ran([sys.executable, "-m", "stepwell", *words, "--no-report", "--out", str(out)], 2)
    assert stepwell.load(out).config["train"]["steps"] == 3


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """More images than there are founders, one of them broken."""
    folder = tmp_path_factory.mktemp("many") / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(2300):
        pixels = rng.integers(0, 255, (3, 3), np.uint8).repeat(4, 0).repeat(4, 1)
        Image.fromarray(pixels).save(folder / f"{number:04}.png")
    (folder / "1999.png").write_bytes(b"no image")
    (folder / "2250.png").write_bytes(b"nor this")
    return folder


def test_ranks_share_the_pass_of_the_spectral_engine_to_the_last_bit(many, tmp_path):
    """Also without torch: files are all they need."""
    found = {}
    for world in (1, 3):
        out = tmp_path / f"run{world}"
        words = ["learn", str(many), "--preset", "fast", "--views", "zoom", "--no-report"]
        ran([sys.executable, "-m", "stepwell", *words, "--out", str(out)], world)
        found[world] = stepwell.load(out)
    one, three = found[1], found[3]
    for name in ("moments", "map", "shuffled", "whitening", "gradient"):
        for key, value in one.part(name).state()[1].items():
            np.testing.assert_array_equal(three.part(name).state()[1][key], value, f"{name} {key}")
    for ours, theirs in zip(one.index, three.index, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for key in ("data", "choice", "skipped"):
        assert one.config[key] == three.config[key]
    assert len(one.config["skipped"]) == 2
    assert {path.name for path in tmp_path.iterdir()} == {"run1", "run3"}
