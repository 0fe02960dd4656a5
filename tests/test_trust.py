"""Runs and folders of strangers: nothing in them runs code, opens a connection, or names files."""

from __future__ import annotations

import json
import shutil
import socket
import tomllib

import pytest
import tomli_w

import stepwell
from stepwell.interfaces import StepwellError
from stepwell.kit import trust

WORDS = "film warm quiet story friends dull plot end sight old told well surprise sadly"
LINES = [" ".join(WORDS.split()[(i * k + i // 7) % 14] for k in range(3, 11)) for i in range(40)]


@pytest.fixture
def no_network(monkeypatch):
    """Whoever asks for a connection fails the test."""

    def asked(*args, **_):
        raise AssertionError(f"a connection was asked for: {args[:2]}")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, asked)
    for name in ("getaddrinfo", "create_connection", "gethostbyname"):
        monkeypatch.setattr(socket, name, asked)


@pytest.fixture
def lines(tmp_path):
    path = tmp_path / "lines.txt"
    path.write_text("\n".join(LINES))
    return path


def changed(run, **source):
    """The run, with other entries of its source."""
    config = tomllib.loads((run / "config.toml").read_text("utf-8"))
    config["source"] |= source
    (run / "config.toml").write_text(tomli_w.dumps(config), "utf-8")


def test_a_run_names_no_file_of_its_reader(call, lines, tmp_path):
    out, secret = tmp_path / "run", tmp_path / "secret.txt"
    stepwell.learn(lines, out, preset="fast", report=False)
    assert stepwell.load(out).texts_of({"lines.txt#line=1"}) == {"lines.txt#line=1": LINES[0]}
    secret.write_text("\n".join(f"password {i} is hunter" for i in range(40)))
    shutil.copy(secret, tmp_path / "stranger.txt")
    changed(out, path=str(secret))
    run = stepwell.load(out)
    assert not run.made_here
    assert run.texts_of({"secret.txt#line=1"}) == {}
    assert all("text" not in row for row in run.search("lines.txt#line=1", 3))
    for words in (("search", out, "lines.txt#line=1"), ("report", out)):
        said = call(*words)
        assert said.code == 0, said.err
        assert "hunter" not in said.out + said.err
        assert "hunter" not in "".join(page.read_text("utf-8") for page in out.glob("*.html"))
        assert f"{secret}, is not read unless you give it, --source PATH" in said.err
    said = call("search", out, "lines.txt#line=1", "--source", lines)
    assert "note" not in said.err
    assert LINES[0][:20] in said.out
    labels = tmp_path / "l.csv"
    labels.write_text("file,label\nlines.txt#line=1,a\nlines.txt#line=2,b\n")
    said = call("finetune", out, "--labels", labels)
    assert said.code == 1
    assert "only read where you say so" in said.err
    assert call("finetune", out, "--labels", labels, "--source", lines).code == 0


def test_a_seal_is_of_this_user_and_of_just_this_content(tmp_path, monkeypatch):
    content = {"path": "/data", "options": {"unit": "line"}}
    seal = trust.seal(content)
    assert len(seal) == 64
    assert trust.sealed(content, seal)
    assert not trust.sealed(content | {"path": "/etc"}, seal)
    assert not trust.sealed(content, "")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "other"))
    assert not trust.sealed(content, seal)
    assert trust.sealed(content, trust.seal(content))
    (secret,) = (tmp_path / "other" / "stepwell").iterdir()
    assert secret.stat().st_mode & 0o077 == 0
    monkeypatch.setattr(trust, "_places", lambda: [secret / "below a file"])
    assert trust.seal(content) == ""
    assert not trust.sealed(content, "")


def test_no_connection_is_opened(call, lines, digits, tmp_path, no_network):
    out = tmp_path / "run"
    assert call("learn", lines, "--out", out, "--preset", "fast").code == 0
    for words in (
        ("embed", out, lines, "--out", tmp_path / "e.npy"),
        ("search", out, "lines.txt#line=1"),
        ("status", out),
        ("steps", out),
        ("generate", out, "--length", "5"),
    ):
        said = call(*words)
        assert said.code == 0, said.err
    images = tmp_path / "images"
    said = call("learn", digits, "--out", images, "--preset", "fast", "--labels", digits)
    assert said.code == 0, said.err


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "timm_wrapper", "architecture": "resnet18"},
        {"model_type": "dpt", "use_pretrained_backbone": True, "backbone": "microsoft/resnet-50"},
        {"model_type": "nothing"},
        {"model_type": "bert", "hidden_size": 10**9},
        {"model_type": "bert", "num_hidden_layers": 10**6},
        {"model_type": "bert", "hidden_size": "x"},
        {},
        [],
    ],
)
def test_what_a_text_run_is_built_of_is_only_sizes(lines, tmp_path, no_network, config):
    from text_models import bert

    folder, out = bert(tmp_path / "model"), tmp_path / "run"
    stepwell.learn(lines, out, backbone=str(folder), report=False)
    part = out / "parts" / "encoder" / "part.toml"
    told = tomllib.loads(part.read_text("utf-8"))
    told["settings"]["made"]["config"] = json.dumps(config)
    part.write_text(tomli_w.dumps(told), "utf-8")
    with pytest.raises(StepwellError, match="Expected"):
        stepwell.load(out).embed(lines)
    mine = json.loads((folder / "config.json").read_text())
    asks = mine | {
        "_attn_implementation": "kernels-community/flash",
        "auto_map": {"AutoModel": "x.Y"},
    }
    told["settings"]["made"]["config"] = json.dumps(asks)
    part.write_text(tomli_w.dumps(told), "utf-8")
    assert len(stepwell.load(out).embed(lines)) == 40
