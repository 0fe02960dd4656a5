"""What else a stranger's run, training or folder may name: each way is tried on a small one."""

from __future__ import annotations

import json
import shutil
import tomllib

import numpy as np
import pytest
import tomli_w
from test_trust import LINES, changed, lines, no_network  # noqa: F401 - fixtures

import stepwell
from stepwell import resuming
from stepwell.interfaces import StepwellError, UsageError

TOLD = {
    "source": {"path": "/data", "options": {}},
    "settings": {"preset": "fast", "engine": "gradient", "backbone": "resnet10t"},
    "after": {"evaluate_with": None, "test": None, "report": False},
    "overwrite": False,
}


def secret_of(folder):
    path = folder / "secret.txt"
    path.write_text("\n".join(f"password {i} is hunter" for i in range(len(LINES))))
    return path


def stopped(folder, told):
    """A training that was stopped, as somebody else may have written it."""
    target = folder / "got"
    place = resuming.beside(target)
    place.mkdir(exist_ok=True)
    (place / resuming.TOLD).write_text(told if isinstance(told, str) else json.dumps(told))
    (place / resuming.STATE).write_bytes(b"")
    return target


@pytest.fixture
def run(lines, tmp_path):  # noqa: F811
    """A run of texts that names other files than it was learned from."""
    out = tmp_path / "run"
    stepwell.learn(lines, out, preset="fast", report=False)
    return out


def test_a_target_is_a_path_too(run, lines, tmp_path):  # noqa: F811
    secret = secret_of(tmp_path)
    changed(run, options={"unit": "line", "target": str(secret)})
    for source in (stepwell.load(run, source=lines).own_source(), stepwell.load(run).open(lines)):
        (batch,) = source.batches(100)
        assert "target" not in batch.data
        assert "hunter" not in " ".join(map(str, batch.data["text"]))


def test_a_page_shows_no_path_that_is_not_followed(call, run, tmp_path):
    changed(run, path=str(secret_of(tmp_path)), options={"target": str(tmp_path / "other.txt")})
    assert call("report", run).code == 0
    page = (run / "report.html").read_text("utf-8")
    assert str(tmp_path / "secret.txt") not in page
    assert str(tmp_path / "other.txt") not in page
    assert "embed run SRC" in page or "SRC --out" in page


def test_ids_do_not_leave_the_source(call, run, lines, tmp_path):  # noqa: F811
    import pyarrow as pa
    import pyarrow.parquet as parquet

    data = tmp_path / "data"
    data.mkdir()
    shutil.move(lines, data / "lines.txt")
    secret_of(tmp_path)
    for name in ("embeddings.parquet", "examples.parquet"):
        table = parquet.read_table(run / name, memory_map=False)
        ids = [f"../secret.txt#line={i + 1}" for i in range(len(table))]
        column = table.schema.get_field_index("id")
        parquet.write_table(table.set_column(column, "id", pa.array(ids)), run / name)
    said = call("search", run, "../secret.txt#line=1", "--source", data)
    assert said.code == 0, said.err
    assert "hunter" not in said.out
    assert call("report", run, "--source", data).code == 0
    assert "hunter" not in (run / "report.html").read_text("utf-8")


def test_a_strangers_training_names_only_settings(tmp_path, lines):  # noqa: F811
    options = {"unit": "line", "target": str(secret_of(tmp_path))}
    told = TOLD | {"source": {"path": "/data", "options": options}, "overwrite": True}
    target = stopped(tmp_path, told)
    asked = resuming.asked_again(target, lines, None)
    assert asked["source"]["options"] == {"unit": "line"}
    assert asked["overwrite"] is False
    target.mkdir()
    with pytest.raises(UsageError, match="would replace"):
        resuming.asked_again(target, lines, None)


def test_labels_of_a_strangers_training_are_left_alone_and_that_is_said(tmp_path):
    told = TOLD | {"after": {"evaluate_with": "/home/labels.csv", "test": None, "report": False}}
    with pytest.warns(UserWarning, match="labels.csv"):
        asked = resuming.asked_again(stopped(tmp_path, told), "/data", None)
    assert asked["after"] == {"report": False}


def test_a_folder_of_a_model_is_named_again(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    name = str(tmp_path / "model")
    told = TOLD | {"settings": TOLD["settings"] | {"backbone": name}}
    target = stopped(tmp_path, told)
    with pytest.raises(StepwellError, match="backbone"):
        resuming.asked_again(target, "/data", None)
    assert resuming.asked_again(target, "/data", name)["settings"]["backbone"] == name


@pytest.mark.parametrize(
    "told",
    [
        "[]",
        "{",
        "7",
        '{"settings": []}',
        '{"settings": {"backbone": 3}}',
        json.dumps(TOLD | {"ranks": 2, "ranks_here": 0}),
        json.dumps(TOLD | {"ranks": "x"}),
        json.dumps(TOLD | {"ranks": True}),
        json.dumps(TOLD | {"settings": TOLD["settings"] | {"seed": "1"}}),
        json.dumps(TOLD | {"settings": TOLD["settings"] | {"training": {"a b": 1}}}),
        json.dumps(TOLD | {"settings": TOLD["settings"] | {"training": {"rate": {"x": 1}}}}),
        json.dumps(TOLD | {"source": {"path": "/data", "options": {"canvas": {"x": 1}}}}),
    ],
)
def test_what_is_no_training_is_told_so_by_every_verb(call, tmp_path, told):
    target = stopped(tmp_path, told)
    assert call("status", tmp_path).code in (0, 1)
    said = call("embed", target, tmp_path, "--out", tmp_path / "e.npy")
    assert said.code == 1
    assert "learn --resume" in said.err
    said = call("learn", tmp_path, "--resume", target)
    assert said.code in (1, 2)
    assert said.err.splitlines()[-1].startswith("stepwell: Expected ")


def test_words_of_a_file_are_no_command(call, tmp_path):
    name = "x:y; touch owned"
    target = stopped(tmp_path, TOLD | {"settings": TOLD["settings"] | {"backbone": name}})
    for words in (("status", tmp_path), ("learn", "--resume", target), ("steps", target)):
        said = call(*words)
        assert "--backbone x:y;" not in said.out + said.err
        assert "=x:y;" not in said.out + said.err


def test_code_that_is_no_name_of_code_is_refused_as_such(call, tmp_path):
    for name in ("hf-hub:timm/resnet18", "local-dir:/tmp", "x:y z"):
        target = stopped(tmp_path, TOLD | {"settings": TOLD["settings"] | {"backbone": name}})
        said = call("learn", tmp_path, "--resume", target)
        assert said.code in (1, 2)
        assert "Expected" in said.err


def test_options_of_a_pretext_are_its_own(call, run, lines, tmp_path):  # noqa: F811
    config = tomllib.loads((run / "config.toml").read_text("utf-8"))
    config["learn"]["options"] = {"whatever": 1}
    (run / "config.toml").write_text(tomli_w.dumps(config), "utf-8")
    said = call("learn", lines, "--founders-from", run, "--out", tmp_path / "o", "--no-report")
    assert said.code == 1
    assert "Expected options of the pretext" in said.err


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("hf-hub:timm/resnet18", {}),
        ("local-dir:/tmp", {}),
        ("resnet10t", {"pretrained_cfg_overlay": {"file": "/tmp/x.pth"}}),
        ("resnet10t", {"checkpoint_path": "/tmp/x.pth"}),
        ("resnet10t", {"a b": 1}),
    ],
)
def test_an_exported_script_builds_models_of_timm_only(tmp_path, no_network, name, options):  # noqa: F811
    pytest.importorskip("timm")
    from stepwell.encoders.network import load_backbone

    facts = {"name": name, "own": False, "options": options, "channels": 3, "stem": ""}
    (tmp_path / "backbone.json").write_text(json.dumps(facts))
    with pytest.raises(ValueError, match="model of timm"):
        load_backbone.load(tmp_path)


@pytest.mark.parametrize(
    ("file", "facts", "said"),
    [
        ("adapter_config.json", {"base_model_name_or_path": "evil/model"}, "adapter"),
        ("tokenizer_config.json", {"vocab_file": "/etc/passwd"}, "vocab_file"),
    ],
)
def test_a_folder_of_a_text_model_leads_nowhere_else(tmp_path, no_network, file, facts, said):  # noqa: F811
    from text_models import TEXTS, bert

    from stepwell.encoders import PretrainedEncoder
    from stepwell.sources import HeldTexts

    folder = bert(tmp_path / "model")
    path = folder / file
    known = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps(known | facts))
    with pytest.raises(UsageError, match=said):
        PretrainedEncoder(folder, "cpu").fit(next(HeldTexts(TEXTS).batches(99)))


def test_kinds_of_text_models_are_those_of_the_library():
    from stepwell.encoders.transformer.saved import KNOWN

    assert {"roberta-prelayernorm", "bert", "modernbert"} <= KNOWN
    assert not {"mamba", "yoso", "roberta-", "prelayernorm"} & KNOWN  # the first two fetch kernels


def test_a_page_a_score_and_an_export_ask_for_no_connection(call, digits, tmp_path, no_network):  # noqa: F811
    pytest.importorskip("timm")
    out = tmp_path / "net"
    words = ("--backbone", "resnet10t", "--preset", "fast", "--labels", digits)
    said = call("learn", digits, "--out", out, *words)
    assert said.code == 0, said.err
    labels = digits / "train"
    for words in (
        ("embed", out, digits, "--out", tmp_path / "e.npy"),
        ("evaluate", out, "--labels", labels),
        ("search", out, stepwell.load(out).index[0][0]),
        ("finetune", out, "--labels", labels),
        ("predict", out, digits, "--out", tmp_path / "p.csv"),
        ("report", out),
        ("export", out, "--out", tmp_path / "x", "--no-onnx"),
    ):
        said = call(*words)
        assert said.code == 0, (words, said.err)


def test_a_text_model_of_others_asks_for_no_connection(call, lines, tmp_path, no_network):  # noqa: F811
    from text_models import bert

    out = tmp_path / "run"
    said = call("learn", lines, "--backbone", bert(tmp_path / "model"), "--out", out)
    assert said.code == 0, said.err
    table = tmp_path / "l.csv"
    rows = "".join(f"lines.txt#line={i + 1},{'ab'[i % 2]}\n" for i in range(30))
    table.write_text(f"file,label\n{rows}")
    for words in (
        ("embed", out, lines, "--out", tmp_path / "e.npy"),
        ("evaluate", out, "--labels", table),
        ("search", out, "a quiet film"),
        ("finetune", out, "--labels", table),
        ("predict", out, lines, "--out", tmp_path / "p.csv"),
        ("report", out),
    ):
        said = call(*words)
        assert said.code == 0, (words, said.err)


@pytest.mark.parametrize(
    "plain", [{"map": []}, {"map": [["data", 1]]}, {"x": 1}, [1], None, {"tensor": "no"}]
)
def test_a_checkpoint_that_is_none_is_an_error(digits, tmp_path, plain):
    pytest.importorskip("lightning_fabric")
    from safetensors.numpy import save_file

    out = tmp_path / "run"

    def stop(event, facts):
        if event == "train" and facts["done"] >= 64:
            raise KeyboardInterrupt

    told = {"samples": 320, "batch": 32, "device": "cpu", "shuffled": False}
    options = {"engine": "gradient", "backbone": "helpers:tiny_net", "preset": "fast"}
    with pytest.raises(KeyboardInterrupt):
        stepwell.learn(digits, out, train=told, report=False, observe=stop, **options)
    state = resuming.beside(out) / resuming.STATE
    one = {"x": np.zeros(1, np.float32)}
    save_file(one, state, metadata={"plain": json.dumps(plain)})
    with pytest.raises(StepwellError, match="Expected"):
        stepwell.resume(out)
