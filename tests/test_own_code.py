"""CONTRIBUTING's blocks, as they stand, used from outside the project as a reader would."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import stepwell
from stepwell.interfaces import StepwellError, UsageError
from stepwell.runfile import read_config

BLOCKS = re.findall(r"```python\n(.*?)```", Path("CONTRIBUTING.md").read_text("utf-8"), re.DOTALL)
RUN = "import sys; from stepwell.cli.main import main; sys.exit(main())"


def images() -> np.ndarray:
    """Bars that lie or stand, on noise."""
    rng = np.random.default_rng(0)
    x = rng.integers(90, 130, (160, 8, 8, 1))
    for i, at in enumerate(rng.integers(1, 7, 160)):
        x[(i, at) if i % 2 else (i, slice(None), at)] += 90
    return x.astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with ``mycode.py`` and images, as somebody works in it."""
    place = tmp_path_factory.mktemp("outside")
    (place / "mycode.py").write_text("\n\n".join(BLOCKS), "utf-8")
    np.savez(place / "bars.npz", images=images(), labels=np.arange(160) % 2)
    np.savetxt(place / "bars.dots", images().reshape(160, -1), fmt="%d")
    return place


def typed(folder, *words, **env):
    """A command in that folder, in a process of its own that knows nothing else of the code."""
    known = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "STEPWELL_TRUST")}
    known |= {"XDG_CONFIG_HOME": str(folder), "OMP_NUM_THREADS": "1", **env}
    return subprocess.run(
        [sys.executable, "-P", "-c", RUN, *map(str, words)],
        cwd=folder,
        env=known,
        capture_output=True,
        text=True,
        timeout=300,
    )


LEARN = ("learn", "bars.npz", "--preset", "fast", "--no-report", "--overwrite", "--json")


def test_there_is_a_block_for_each_room():
    names = ("Dots", "Shifted", "Upside", "Distance", "Pixels", "series_statistics", "Negative")
    for name in (*names, "nearest_mean"):
        assert sum(f" {name}(" in block or f" {name}:" in block for block in BLOCKS) == 1, name


def test_an_encoder_and_a_pretext_by_their_names(folder):
    words = ("--encoder", "mycode:Pixels", "--pretext", "mycode:Shifted", "--out", "r")
    said = typed(folder, *LEARN, *words)
    assert said.returncode == 0, said.stderr
    config = read_config(folder / "r")
    assert (config["learn"]["encoder"], config["learn"]["pretext"]) == ("pixels", "shifted")
    # The run alone imports nothing: elsewhere its code has to be named.
    refused = typed(folder, "embed", "r", "bars.npz", "--out", "z.npy")
    assert refused.returncode != 0
    assert "pixels" in refused.stderr
    assert "STEPWELL_TRUST=module:Class" in refused.stderr
    named = {"STEPWELL_TRUST": "no.such:Thing mycode:Pixels"}
    told = typed(folder, "embed", "r", "bars.npz", "--out", "z.npy", **named)
    assert told.returncode == 0, told.stderr
    assert np.load(folder / "z.npy").shape[0] == 160


def test_views_by_their_names(folder):
    said = typed(folder, *LEARN, "--views", "flip mycode:Negative", "--out", "v")
    assert said.returncode == 0, said.stderr
    assert stepwell.load(folder / "v").recipe == ["flip mycode:Negative"]
    mistake = typed(folder, *LEARN, "--views", "mycode:Positive", "--out", "v")
    assert "Expected package.module:Class that can be imported" in mistake.stdout
    other = typed(folder, *LEARN, "--views", "mycode:Pixels", "--out", "v")
    assert "without apply and slots" in other.stdout


def test_a_rule_for_heads_by_its_name(folder):
    assert typed(folder, *LEARN, "--out", "h").returncode == 0
    words = ("finetune", "h", "--labels", "bars.npz", "--json")
    said = typed(folder, *words, "--rule", "mycode:nearest_mean")
    assert said.returncode == 0, said.stderr
    assert {row["how"] for row in json.loads(said.stdout)["tried"]} == {"mycode:nearest_mean"}
    told = typed(folder, "predict", "h", "bars.npz", "--json")  # it holds numbers, no code
    assert told.returncode == 0, told.stderr
    mistake = typed(folder, *words, "--rule", "logistc")
    assert "Did you mean 'logistic'" in mistake.stdout


def test_an_objective_by_its_name_and_as_a_class(folder, monkeypatch):
    pytest.importorskip("lightning_fabric")
    small = ("--engine", "gradient", "--backbone", "helpers:tiny_net", "--device", "cpu")
    small += ("--batch", "32", "--samples", "320", "--no-shuffled")
    path = str(Path(__file__).parent)
    known = {"PYTHONPATH": path}
    said = typed(folder, *LEARN, *small, "--objective", "mycode:Distance", "--out", "d", **known)
    assert said.returncode == 0, said.stderr
    assert read_config(folder / "d")["train"]["objective"] == "distance"
    monkeypatch.syspath_prepend(str(folder))
    import mycode

    train = {"objective": mycode.Distance, "samples": 320, "batch": 32, "device": "cpu"}
    run = stepwell.learn(
        images(),
        folder / "c",
        engine="gradient",
        backbone="helpers:tiny_net",
        train={**train, "shuffled": False},
        preset="fast",
        report=False,
    )
    assert run.config["train"]["objective"] == "distance"


def test_objects_of_ones_own(folder, monkeypatch):
    monkeypatch.syspath_prepend(str(folder))
    import mycode

    run = stepwell.learn(
        images(),
        folder / "o",
        encoder=mycode.Pixels(),
        pretext=mycode.Shifted(),
        report=False,
    )
    assert run.embed(images()).shape == (160, run.width)
    source = mycode.Dots(folder / "bars.dots")
    again = stepwell.learn(source, folder / "s", preset="fast", report=False)
    np.testing.assert_array_equal(
        np.concatenate([b.data["image"] for b in source.batches(50)]), images()
    )
    assert again.config["data"]["examples"] == 160
    seen = mycode.Upside("flip").seen(next(iter(source.batches(8))), 0)
    assert set(seen.told["turned"].ravel()) <= {0, 1}
    values = np.random.default_rng(0).normal(size=(3, 9, 2))
    batch = type("B", (), {"data": {"values": values}})()
    assert all(len(column) == 3 for column in mycode.series_statistics(batch).values())


def test_code_is_not_run_where_nothing_asks_for_it(folder, tmp_path):
    (tmp_path / "mycode.py").write_text("raise SystemExit('run by a stranger')", "utf-8")
    assert typed(folder, *LEARN, "--out", "q").returncode == 0
    words = ("embed", folder / "q", folder / "bars.npz", "--out", folder / "q.npy")
    said = typed(tmp_path, *words, STEPWELL_TRUST="mycode:Pixels", XDG_CONFIG_HOME=str(folder))
    assert said.returncode == 0, said.stderr


def test_code_that_the_user_has_not_named_is_not_run(folder):
    from stepwell.kit.plugins import own_code

    with pytest.raises(StepwellError, match="If you trust that code"):
        own_code("mycode:Nothing")
    with pytest.raises(UsageError, match="can be imported"):
        stepwell.learn(images(), folder / "n", encoder="no.such.module:Thing")
