"""``stepwell learn --engine gradient`` and frozen backbones, as a user types them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib

import numpy as np
import pytest
import tomli_w
from helpers import environment

import stepwell
from stepwell import resuming
from stepwell.interfaces import StepwellError

pytest.importorskip("torch", reason="torch is an optional part")
pytest.importorskip("lightning_fabric")

SMALL = ("--engine", "gradient", "--backbone", "helpers:tiny_net", "--preset", "fast")
SMALL += ("--device", "cpu", "--batch", "32")
CONTROLS = {"raw input", "PCA of the input", "random encoder", "shuffled pairs", "whitening only"}


@pytest.fixture(scope="module")
def trained(digits, tmp_path_factory):
    out = tmp_path_factory.mktemp("gradient") / "run"
    told = {"samples": 1600, "batch": 32, "device": "cpu", "objective": "vicreg"}
    run = stepwell.learn(
        digits,
        out,
        engine="gradient",
        backbone="helpers:tiny_net",
        train=told,
        preset="fast",
        evaluate_with=digits / "train",
        report=False,
    )
    return run.path


def test_a_trained_run_is_a_run_like_any_other(call, trained, digits):
    run = stepwell.load(trained)
    assert run.encoder.name == "network"
    z = run.embed(digits / "train")
    assert z.shape[1] == run.width
    np.testing.assert_allclose(np.linalg.norm(z, axis=1), 1, atol=1e-3)
    assert call("status", trained).code == 0
    assert call("report", trained).code == 0
    assert "VICReg" not in (trained / "config.toml").read_text()  # names, not classes
    assert run.config["train"]["objective"] == "vicreg"
    assert run.config["train"]["steps"] == 50
    assert run.config["learn"]["engine"] == "gradient"


def test_it_stands_beside_all_controls(trained):
    scores = json.loads((trained / "scores.json").read_text())
    names = {row["name"] for row in scores["labelled"]}
    assert names == CONTROLS | {"stepwell", "features alone"}
    assert {row["name"] for row in scores["retrieval"]} == names


def test_its_steps_are_logged_in_samples(call, trained):
    lines = [json.loads(line) for line in (trained / "steps.jsonl").read_text().splitlines()]
    mine = [line for line in lines if line.get("clock") == "samples"]
    assert mine[0]["time"] == 0
    assert mine[-1]["time"] <= 1600
    train = [line for line in lines if line["event"] == "train"]
    assert train[-1]["done"] == 1600
    assert {"loss", "rank", "wait"} <= set(train[-1])
    assert call("steps", trained).code == 0
    assert not list(trained.glob("decoded*"))


def test_two_trainings_with_one_seed_are_one(call, digits, tmp_path):
    for name in ("a", "b"):
        words = ("--samples", "320", "--no-shuffled", "--no-report", "--out", tmp_path / name)
        said = call("learn", digits, *SMALL, *words)
        assert said.code == 0, said.err
    one, two = (
        (tmp_path / name / "parts" / "encoder" / "arrays.safetensors").read_bytes()
        for name in ("a", "b")
    )
    assert one == two
    scores = json.loads((tmp_path / "a" / "scores.json").read_text())
    assert "shuffled pairs" not in {row["name"] for row in scores["retrieval"]}


def test_a_budget_is_turned_into_samples(call, digits, tmp_path):
    words = ("--budget", "12s", "--no-shuffled", "--no-report", "--out", tmp_path / "r", "--json")
    said = call("learn", digits, *SMALL, *words)
    assert said.code == 0, said.err
    config = stepwell.load(tmp_path / "r").config
    assert config["train"]["samples"] == config["train"]["steps"] * 32 > 32


@pytest.mark.parametrize(
    "words", [("--precision", "bf16-mixed"), ("--accumulate", "2"), ("--optimizer", "SGD")]
)
def test_other_ways_to_train(call, digits, tmp_path, words):
    more = ("--samples", "320", "--no-shuffled", "--no-report", "--out", tmp_path / "r")
    said = call("learn", digits, *SMALL, *words, *more)
    assert said.code == 0, said.err
    assert stepwell.load(tmp_path / "r").config["train"]["regulated"] == []


@pytest.mark.parametrize(
    ("pretext", "objective"),
    [
        ("multi_crop", "dino"),
        ("neighbours", "cross_entropy"),
        ("neighbours", "vicreg"),
        ("missing", "masked_autoencoding"),
        ("missing", "latent_prediction"),
        ("missing", "ibot"),
        ("transform", "regression"),
        (None, "cross_entropy"),
        ("order", None),
        ("clusters", None),
    ],
)
def test_any_pretext_can_be_trained_on(call, digits, tmp_path, pretext, objective):
    words = ("--samples", "320", "--no-report", "--out", tmp_path / "r")
    words += ("--pretext", pretext) if pretext else ()
    words += ("--objective", objective) if objective else ()
    said = call("learn", digits, *SMALL, *words)
    assert said.code == 0, said.err
    config = stepwell.load(tmp_path / "r").config
    assert config["train"]["pretext"] == (pretext or "transform")
    assert config["train"]["objective"] == (objective or "cross_entropy")
    assert config["learn"]["pretext"] == "two_views"  # of the closed form that follows


@pytest.mark.parametrize("pretext", ["neighbours", "missing", "order"])
def test_some_pretexts_have_a_closed_form(call, digits, tmp_path, pretext):
    words = ("--pretext", pretext, "--preset", "fast", "--no-report", "--out", tmp_path / "r")
    said = call("learn", digits, *words)
    assert said.code == 0, said.err
    run = stepwell.load(tmp_path / "r")
    assert run.config["learn"]["pretext"] == pretext
    assert run.part("moments").units == run.config["data"]["examples"]
    assert run.embed(digits / "train").shape[1] == run.width


def test_a_training_on_clusters_goes_on_as_if_it_had_not_stopped(digits, tmp_path):
    told = {"samples": 32 * 24, "batch": 32, "device": "cpu", "shuffled": False}
    more = {"engine": "gradient", "backbone": "helpers:tiny_net", "pretext": "clusters"}
    more |= {"preset": "fast", "train": told, "report": False}
    whole, out = tmp_path / "whole", tmp_path / "run"
    stepwell.learn(digits, whole, **more)

    def stop(event, facts):
        if event == "train" and facts["done"] == 32 * 15:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stepwell.learn(digits, out, observe=stop, **more)
    stepwell.resume(out)
    assert weights(out) == weights(whole)


def test_a_backbone_can_stay_frozen(call, digits, tmp_path):
    words = ("--backbone", "helpers:tiny_net", "--preset", "fast", "--out", tmp_path / "r")
    said = call("learn", digits, *words, "--labels", digits / "train", "--no-report", "--json")
    assert said.code == 0, said.err
    names = {row["name"] for row in json.loads(said.out)["labelled"]}
    assert "features alone" in names
    assert "shuffled pairs" in names


@pytest.mark.slow
def test_an_untrained_network_says_so_first(call, digits, tmp_path):
    run = tmp_path / "r"
    said = call("learn", digits, "--backbone", "resnet18", "--preset", "fast", "--out", run)
    assert said.code == 0, said.err
    assert said.out.startswith("The network resnet18 is untrained, its features are random:")
    assert "resnet18 is untrained" in call("status", run).out
    assert "resnet18 is untrained" in (run / "card.md").read_text("utf-8")
    said = call("evaluate", run, "--labels", digits)
    assert said.out.startswith("The network resnet18 is untrained")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--engine", "gradeint"), "Did you mean 'gradient'"),
        (("--engine", "gradient", "--objective", "barlow"), "Expected an objective"),
        (("--engine", "gradient", "--pretext", "order", "--objective", "dino"), "(cross_entropy, "),
        (("--engine", "gradient", "--pretext", "two_views", "--objective", "ibot"), "(missing)"),
        (("--pretext", "clusters"), "Add --engine gradient"),
        (("--pretext", "ordre"), "Did you mean 'order'"),
        (("--engine", "gradient", "--objective", "simcl"), "Did you mean 'simclr'"),
        (("--engine", "gradient", "--backbone", "resnt18"), "Did you mean 'resnet18'"),
        (("--engine", "gradient", "--encoder", "patches"), "leave one of them out"),
        (("--weights", "w.safetensors"), "add --backbone"),
        (("--batch", "64"), "add --engine gradient"),
        (("--engine", "gradient", "--samples", "0"), "at least one sample"),
        (("--engine", "gradient", "--rate", "-1"), "0 or more"),
        ((*SMALL, "--optimizer", "SGDD", "--samples", "100"), "optimizer of torch.optim"),
        ((*SMALL, "--samples", "100", "--budget", "1m"), "leave one of them out"),
        ((*SMALL, "--accumulate", "0"), "accumulate of 1 or more"),
        ((*SMALL, "--precision", "32"), "Expected a precision"),
        ((*SMALL, "--shard", "--samples", "100"), "start with torchrun"),
        ((*SMALL, "--shard", "--compile"), "found them compiled"),
        (("--shard",), "add --engine gradient"),
        ((*SMALL, "--objective", "next_token"), "which is for text"),
        ((*SMALL, "--batch", "5000", "--samples", "9000"), "at most all"),
    ],
)
def test_mistakes_are_told(call, digits, tmp_path, words, said):
    found = call("learn", digits, *words, "--out", tmp_path / "r", "--no-report")
    assert found.code in (1, 2)
    assert said in found.err
    assert not (tmp_path / "r").exists()


# stopping and going on


def told(**more):
    return {"samples": 960, "batch": 32, "device": "cpu", **more}


def learned(src, out, observe=lambda *_: None, overwrite=False, **more):
    return stepwell.learn(
        src,
        out,
        engine="gradient",
        backbone="helpers:tiny_net",
        preset="fast",
        train=told(**more),
        report=False,
        observe=observe,
        overwrite=overwrite,
    )


def stops(stage="train"):
    """An observer that interrupts a stage once 320 samples of it are done."""

    def stop(event, facts):
        if event == stage and facts["done"] >= 320:
            raise KeyboardInterrupt

    return stop


def weights(path, part="encoder"):
    return (path / "parts" / part / "arrays.safetensors").read_bytes()


@pytest.fixture(scope="module")
def whole(digits, tmp_path_factory):
    """A training that was never stopped."""
    return learned(digits, tmp_path_factory.mktemp("whole") / "run").path


@pytest.mark.parametrize("stage", ["train", "control"])
def test_ctrl_c_leaves_a_training_that_goes_on_bit_for_bit(call, digits, tmp_path, whole, stage):
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        learned(digits, out, stops(stage))
    assert resuming.unfinished(out)
    assert not list(tmp_path.glob(".*.partial"))
    assert not out.exists()
    assert str(out) in call("status", tmp_path).out
    for words in (("embed", out, digits, "--out", tmp_path / "z.npy"), ("report", out)):
        said = call(*words)
        assert said.code == 1
        assert "learn --resume" in said.err
    said = call("learn", digits, *SMALL, "--out", out)
    assert said.code == 2
    assert "--overwrite begins anew" in said.err
    said = call("learn", "--resume", out, "--json")
    assert said.code == 0, said.err
    for part in ("encoder", "shuffled_encoder", "map"):
        assert weights(out, part) == weights(whole, part)
    times = [
        line["time"]
        for line in map(json.loads, (out / "steps.jsonl").read_text().splitlines())
        if line.get("clock") == "samples"
    ]
    assert times == sorted(set(times))
    assert {path.name for path in tmp_path.iterdir()} == {"run"}
    again = call("learn", "--resume", out)
    assert again.code == 2
    assert "a finished run" in again.err


def test_a_stopped_training_leaves_the_run_it_would_replace_alone(call, digits, tmp_path, whole):
    out = tmp_path / "run"
    shutil.copytree(whole, out)
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    with pytest.raises(KeyboardInterrupt):
        learned(digits, out, stops(), overwrite=True, objective="byol", shuffled=False)
    assert {p: p.read_bytes() for p in out.rglob("*") if p.is_file()} == before
    assert resuming.unfinished(out)
    mistake = call("learn", digits, *SMALL, "--objective", "simcl", "--out", out, "--overwrite")
    assert mistake.code == 2
    assert resuming.unfinished(out)  # a mistake costs nothing
    assert call("learn", "--resume", out).code == 0
    straight = learned(digits, tmp_path / "other", objective="byol", shuffled=False)
    assert weights(out) == weights(straight.path)


def test_a_signal_in_the_middle_of_a_step_is_heard_after_it(digits, tmp_path, whole):
    import os
    import signal

    from stepwell.engines.gradient.loop import Trainer
    from stepwell.pacing import WARMER

    update, steps = Trainer._update, []

    def interrupted(self, loss):
        steps.append(1)
        if len(steps) == WARMER + 6:  # as many may be the measurement of speed
            os.kill(os.getpid(), signal.SIGINT)
        return update(self, loss)

    out = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "_update", interrupted)
        with pytest.raises(KeyboardInterrupt):
            learned(digits, out)
    stepwell.resume(out)
    assert weights(out) == weights(whole)


def test_kill_9_leaves_a_training_that_goes_on(call, digits, tmp_path, whole):
    out = tmp_path / "run"
    code = f"""
import os, sys
sys.path.insert(0, {str(__import__("helpers").PLUGINS.parent)!r})
import stepwell
from stepwell import resuming
from stepwell.interfaces import StepwellError
resuming.EVERY_S = 0
def stop(event, facts):
    if event == "train" and facts["done"] >= 480:
        os.kill(os.getpid(), 9)
stepwell.learn({str(digits)!r}, {str(out)!r}, engine="gradient", backbone="helpers:tiny_net",
    preset="fast", train={told()!r}, report=False, observe=stop)
"""
    done = subprocess.run([sys.executable, "-c", code], env=environment(), check=False)
    assert done.returncode == -9
    assert resuming.unfinished(out)
    assert call("learn", "--resume", out).code == 0
    one, two = (stepwell.load(path).encoder for path in (out, whole))
    some = next(iter(stepwell.load(whole).own_source().batches(50)))
    # A process of its own has other threads: close, but not to the bit.
    np.testing.assert_allclose(one.embed(some), two.embed(some), rtol=0.05, atol=0.05)


def test_other_data_or_settings_are_refused(call, digits, tmp_path):
    out, data = tmp_path / "run", tmp_path / "data"
    shutil.copytree(digits, data)
    with pytest.raises(KeyboardInterrupt):
        learned(data, out, stops())
    said = call("learn", "--resume", out, "--samples", "100")
    assert said.code == 2
    assert "--samples" in said.err
    next(data.rglob("*.png")).unlink()
    said = call("learn", "--resume", out)
    assert said.code == 1
    assert "Expected the data of the training that was stopped" in said.err
    assert resuming.unfinished(out)
    told = resuming.beside(out) / resuming.TOLD
    told.write_text(json.dumps(json.loads(told.read_text()) | {"ranks": 4, "ranks_here": 4}))
    said = call("learn", "--resume", out)
    again = f"torchrun --standalone --nproc-per-node 4 -m stepwell learn --resume {out}"
    assert said.code == 2
    assert "Expected 4 processes" in said.err
    assert again in said.err
    assert again in call("status", out).err
    assert call("learn", "--resume", tmp_path / "nothing").code == 2
    assert call("learn").code == 2


def test_a_batch_too_small_to_compare_is_raised_and_told(call, digits, tmp_path):
    out = tmp_path / "r"
    words = (*SMALL, "--batch", "4", "--samples", "640", "--no-shuffled", "--no-report")
    assert call("learn", digits, *words, "--out", out).code == 0
    lines = [json.loads(line) for line in (out / "steps.jsonl").read_text().splitlines()]
    told_of = next(line for line in lines if line["event"] == "regulate")
    assert told_of["kind"] == "batch too small"
    assert stepwell.load(out).config["train"]["batch"] >= 16


# export


def test_a_backbone_leaves_as_a_plain_state_dict_and_as_onnx(call, trained, tmp_path):
    out = tmp_path / "out"
    said = call("export", trained, "--out", out, "--json")
    assert said.code == 0, said.err
    facts = json.loads(said.out)
    assert facts["features"] < 1e-4
    assert facts["cosine"] > 0.999
    assert {path.name for path in out.iterdir()} == {
        "backbone.safetensors",
        "backbone.json",
        "load_backbone.py",
        "embedder.onnx",
    }
    code = (out / "load_backbone.py").read_text()
    assert "import stepwell" not in code
    assert "from stepwell" not in code
    assert call("export", trained, "--out", out).code == 2
    assert call("export", trained, "--out", out, "--overwrite", "--no-onnx").code == 0


def test_only_networks_are_exported(call, digits, tmp_path):
    stepwell.learn(digits, tmp_path / "run", preset="fast", report=False)
    said = call("export", tmp_path / "run", "--out", tmp_path / "out")
    assert said.code == 2
    assert "learned with --backbone" in said.err


@pytest.mark.parametrize("name", ["resnet10t", "vit_tiny_patch16_224", "resnet18"])
def test_backbones_of_timm_are_exported(digits, tmp_path, name):
    from stepwell.encoders import NetworkEncoder
    from stepwell.exporting import export

    encoder = NetworkEncoder(name, device="cpu", small=True)
    run = stepwell.learn(digits, tmp_path / "run", encoder=encoder, preset="fast", report=False)
    assert export(run, tmp_path / "out")["cosine"] > 0.999
    alone = "import torch; from load_backbone import *; told = facts(); s = told['side']; " + (
        "print(features(torch.zeros(2, told['channels'], s, s)).shape[1] == told['width'])"
    )
    words = [sys.executable, "-c", alone]
    said = subprocess.run(words, cwd=tmp_path / "out", capture_output=True, text=True, check=False)
    assert said.stdout == "True\n", said.stderr


def test_options_that_a_run_names_are_never_code(digits, tmp_path):
    from stepwell.encoders import NetworkEncoder
    from stepwell.exporting import export

    encoder = NetworkEncoder("resnet10t", device="cpu")
    run = stepwell.learn(digits, tmp_path / "run", encoder=encoder, preset="fast", report=False)
    part = run.path / "parts" / "encoder" / "part.toml"
    told, mark = tomllib.loads(part.read_text("utf-8")), tmp_path / "owned"
    for name in (f"drop_rate=__import__('pathlib').Path({str(mark)!r}).touch()) or (x", "a b"):
        told["settings"]["spec"]["options"] = {name: 0.0}
        part.write_text(tomli_w.dumps(told), "utf-8")
        with pytest.raises(StepwellError, match="Expected how a backbone is built"):
            export(stepwell.load(run.path), tmp_path / "out", onnx=False)
    told["settings"]["spec"]["options"] = {"pretrained": True, "checkpoint_path": "/nowhere"}
    part.write_text(tomli_w.dumps(told), "utf-8")
    export(stepwell.load(run.path), tmp_path / "out", onnx=False)
    assert json.loads((tmp_path / "out" / "backbone.json").read_text())["options"] == {}
    assert not mark.exists()


def test_code_that_a_stopped_training_names_is_not_run(digits, tmp_path, call):
    out, mark = tmp_path / "run", tmp_path / "owned"
    with pytest.raises(KeyboardInterrupt):
        learned(digits, out, stops())
    (tmp_path / "payload.py").write_text(f"open({str(mark)!r}, 'w')\ndef f(channels, side): ...\n")
    told = resuming.beside(out) / resuming.TOLD
    good = json.loads(told.read_text())
    for name in ("payload:f", "os:abort"):
        told.write_text(json.dumps(good | {"settings": good["settings"] | {"backbone": name}}))
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(tmp_path)
            said = call("learn", "--resume", out)
        assert said.code == 1
        assert f"add --backbone {name}" in said.err
    assert not mark.exists()
    told.write_text(json.dumps(good | {"source": {"path": "/etc", "options": {}}}))
    said = call("learn", "--resume", out)
    assert said.code == 1
    assert "begun by you on this machine" in said.err
    for wrong in ("{", "[]", '{"source": 1}', json.dumps(good | {"more": 1}), "[" * 100_000):
        told.write_text(wrong)
        said = call("learn", "--resume", out)
        assert said.code == 1
        assert "Expected what a training was told" in said.err
    told.write_text(json.dumps(good))
    assert call("learn", "--resume", out).code == 0


def test_code_that_a_run_names_is_run_only_where_it_is_trusted(trained, tmp_path):
    open_it = f"import stepwell; stepwell.load({str(trained)!r}).encoder; print('opened')"
    words = [sys.executable, "-c", open_it]
    tests = str(__import__("helpers").PLUGINS.parent)
    known = {**environment(), "PYTHONPATH": tests}
    said = subprocess.run(words, env=known, capture_output=True, text=True, check=False)
    assert "If you trust that code: STEPWELL_TRUST=helpers:tiny_net" in said.stderr
    known["STEPWELL_TRUST"] = "helpers:tiny_net"
    said = subprocess.run(words, env=known, capture_output=True, text=True, check=False)
    assert said.stdout == "opened\n", said.stderr


def test_an_export_replaces_nothing_but_an_export(call, trained, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    for out in (mine, trained):
        said = call("export", trained, "--out", out, "--overwrite", "--no-onnx")
        assert said.code == 2
        assert "found something else" in said.err
    assert (mine / "thesis.txt").is_file()
    assert stepwell.load(trained).has("encoder")


@pytest.mark.parametrize("made", ["Transform(of='scale')", "Order(grid=3)", "Clusters(count=4)"])
def test_pretexts_can_be_objects_too(digits, tmp_path, made):
    from stepwell.pretexts.clusters import Clusters
    from stepwell.pretexts.order import Order
    from stepwell.pretexts.transform import Transform

    pretext = eval(made, {"Transform": Transform, "Order": Order, "Clusters": Clusters})
    told = {"samples": 320, "batch": 32, "device": "cpu", "shuffled": True}
    options = {"engine": "gradient", "backbone": "helpers:tiny_net", "preset": "fast"}
    run = stepwell.learn(digits, tmp_path / "r", pretext=pretext, train=told, **options)
    assert run.config["train"]["pretext"] == pretext.name
    assert run.config["learn"]["pretext"] == "two_views"
    if pretext.target == "other":
        with pytest.raises(stepwell.UsageError, match="Add --engine gradient"):
            stepwell.learn(digits, tmp_path / "s", pretext=pretext)


def test_a_plug_in_pretext_may_be_unhashable(digits, tmp_path):
    from dataclasses import dataclass

    from stepwell.pretexts import TwoViews

    @dataclass
    class Mine:
        name = "mine"
        kinds = frozenset({"image"})
        target = "same"
        strength: float = 0.5

        def pairs(self, batch, seed, epoch=0):
            yield from TwoViews("zoom").pairs(batch, seed, epoch)

    told = {"samples": 320, "batch": 32, "device": "cpu", "shuffled": False}
    options = {"engine": "gradient", "backbone": "helpers:tiny_net", "preset": "fast"}
    run = stepwell.learn(digits, tmp_path / "r", pretext=Mine(), train=told, **options)
    assert run.config["train"]["objective"] == "barlow_twins"


def test_the_pretext_of_the_manual_trains_a_network(digits, tmp_path):
    """As CONTRIBUTING.md has it."""
    from stepwell.interfaces import Seen
    from stepwell.pretexts.base import OnImages, classes
    from stepwell.views import like, quarter_turns

    class Upside(OnImages):
        name, target = "upside", "other"
        gives, objective = frozenset({"classes"}), "cross_entropy"
        classes = {"turned": (1, 2)}  # noqa: RUF012

        def seen(self, batch, seed, epoch=0, views=1):
            turned = classes(batch, seed, epoch, 0x0D, 2)
            images = self.changed(batch, seed, epoch).data["image"]
            return Seen([quarter_turns(images, like(images, 2 * turned))], {"turned": turned})

    told = {"samples": 320, "batch": 32, "device": "cpu", "shuffled": True}
    options = {"engine": "gradient", "backbone": "helpers:tiny_net", "preset": "fast"}
    run = stepwell.learn(digits, tmp_path / "r", pretext=Upside(), train=told, **options)
    assert run.config["train"]["objective"] == "cross_entropy"
    assert run.config["learn"]["pretext"] == "two_views"


@pytest.mark.parametrize(
    ("name", "side"),
    [("vit_tiny_patch16_224", 28), ("vit_tiny_patch16_224", 100), ("vit_tiny_patch16_224", 36),
     ("vit_relpos_small_patch16_224", 32), ("deit_tiny_distilled_patch16_224", 32)],
)  # fmt: skip
def test_transformers_fit_sides_that_are_no_multiple_of_their_patches(name, side):
    from stepwell.encoders import NetworkEncoder
    from stepwell.interfaces import Batch
    from stepwell.kit.hashing import digest_rows

    images = np.random.default_rng(0).integers(0, 255, (4, side, side, 3), np.uint8)
    ids = np.array([*"abcd"])
    batch = Batch(ids, {"image": images}, ids, digest_rows([i.tobytes() for i in images]))
    encoder = NetworkEncoder(name, device="cpu", small=side <= 96).fit(batch)
    features = encoder.embed(batch)
    assert np.isfinite(features).all()
    again = NetworkEncoder.from_state(*encoder.state())
    np.testing.assert_allclose(again.embed(batch), features, atol=1e-4)
    if "relpos" not in name and "distilled" not in name:
        small = batch.with_data(image=images[:, : side // 2, : side // 2])
        assert encoder.embed(small).shape == features.shape


@pytest.mark.parametrize(("fits", "said"), [(16, "--batch 16 fits"), (2, "take a smaller one")])
def test_a_batch_that_memory_can_not_hold_is_told_with_one_that_fits(
    call, digits, tmp_path, monkeypatch, fits, said
):
    import torch

    from stepwell.engines.gradient.loop import Trainer

    whole = Trainer._gradients

    def gradients(self, batches):
        if self.plan.batch > fits:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return whole(self, batches)

    monkeypatch.setattr(Trainer, "_gradients", gradients)
    out = tmp_path / "r"
    found = call("learn", digits, *SMALL, "--batch", "64", "--samples", "320", "--out", out)
    assert found.code == 1
    assert said in found.err
    assert not out.exists()


def test_a_network_goes_on_learning_and_what_it_embeds_stays(call, trained, digits, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    before = stepwell.load(run).embed(digits / "train")
    words = ("--engine", "gradient", "--steps", "40", "--rate", "3e-3")
    said = call("finetune", run, "--labels", digits, *words, "--keep", digits)
    assert said.code == 0, said.err
    assert "weights moved" in said.out
    assert "old task, %" in said.out
    assert said.out.count("taken") == 1
    opened = stepwell.load(run)
    assert np.array_equal(opened.embed(digits / "train"), before)
    rows = opened.predict(digits)
    right = [row["label"] == row["id"].split("/")[-2] for row in rows]
    assert np.mean(right) > 0.3  # by chance a tenth
    curve = json.loads((run / "parts" / "tuned" / "curve.json").read_text())
    assert [row["share"] for row in curve] == [0, 0.25, 0.5, 0.75, 1]
    assert curve[0]["kept"] == 1
    assert curve[-1]["kept"] < 1
    assert call("report", run).code == 0
    assert "Gained and kept by fine-tuning" in (run / "report.html").read_text()
    still = call(
        "finetune", run, "--labels", digits, "--engine", "gradient", "--retain", 1, "--json"
    )
    (row,) = json.loads(still.out)["curve"]
    assert (row["share"], row["kept"]) == (0, 1)
    few = tmp_path / "few.csv"
    few.write_text("file,label\n" + "".join(f"{row['id']},{i}\n" for i, row in enumerate(rows[:4])))
    refused = call("finetune", run, "--labels", few, "--engine", "gradient")
    assert "labels enough to hold a fifth back" in refused.err
