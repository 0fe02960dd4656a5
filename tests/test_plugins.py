"""Other kinds of data, by plug-ins of at most 60 lines, with no line of src/ changed."""

from __future__ import annotations

import json
from importlib.metadata import entry_points
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest
from helpers import PLUGINS, installed
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine

import stepwell
from stepwell.contract import check_view
from stepwell.interfaces import Encoder, Pretext, Source, UsageError
from stepwell.kit.plugins import for_kind, registered
from stepwell.pretexts import PRETEXTS, TwoViews
from stepwell.views import parse, render

DATA = Path(__file__).parents[2] / "shared" / "data"
MOST_LINES = 60


def real_text(folder: Path) -> Path:
    """Sentences of film reviews."""
    file = DATA / "sst2" / "dev.tsv"
    if not file.exists():
        pytest.skip(f"{file.name} of SST-2 is not here: its generated twin is tested instead")
    lines = islice(file.read_text("utf-8").split("\n"), 200)
    return written(folder / "reviews.tsv", "\n".join(lines))


def own_text(folder: Path) -> Path:
    """What scikit-learn says about its data sets, sentence by sentence."""
    told = " ".join(
        load().DESCR for load in (load_breast_cancer, load_diabetes, load_iris, load_wine)
    )
    sentences = [" ".join(s.split()) for s in told.split(". ")]
    return written(folder / "words.tsv", "\n".join(s for s in sentences if s))


def real_series(folder: Path) -> Path:
    """Heartbeats."""
    file = DATA / "ecg5000" / "ECG5000_TRAIN.txt.gz"
    if not file.exists():
        pytest.skip(f"{file.name} is not here: its generated twin is tested instead")
    np.savetxt(folder / "hearts.txt.gz", np.loadtxt(file)[:150])
    return folder / "hearts.txt.gz"


def own_series(folder: Path) -> Path:
    """Handwritten digits as series of grey values, row by row."""
    digits = load_digits()
    table = np.column_stack([digits.target, digits.data])[:150]
    np.savetxt(folder / "strokes.txt.gz", table)
    return folder / "strokes.txt.gz"


def written(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


CASES = {
    "text": ("text", "neighbours", real_text, own_text),
    "series": ("series", "two_views", real_series, own_series),
}


@pytest.mark.parametrize("origin", ["real", "own"])
@pytest.mark.parametrize("plugin", CASES)
def test_another_kind_of_data_from_learn_to_report(plugin, origin, spawn, call, tmp_path):
    kind, pretext, *makers = CASES[plugin]
    src, run = makers[origin == "own"](tmp_path), tmp_path / "run"

    def verb(*words):
        if origin == "real":  # installed for a process of its own, as a user has it
            said = spawn(*words, "--json", plugins=(plugin,))
        else:
            with installed(plugin):
                said = call(*words, "--json")
        assert said.code == 0, said.err + said.out
        return json.loads(said.out)

    learned = verb("learn", src, "--out", run, "--no-report")
    ids = [name for name, _ in entries(plugin, src)]
    assert learned["examples"] == len(ids) >= 60
    assert all(0 <= row["value"] <= 100 for row in learned["retrieval"])

    config = (run / "config.toml").read_text("utf-8")
    assert f'pretext = "{pretext}"' in config
    assert f'kind = "{kind}"' in config

    verb("embed", run, src, "--out", tmp_path / "z.parquet")
    table = parquet.read_table(tmp_path / "z.parquet")
    assert table["id"].to_pylist() == ids

    found = verb("search", run, ids[3], "-n", 5)
    assert {**found[0], "text": ""} == {
        "id": ids[3],
        "cosine": pytest.approx(1, abs=2e-3),
        "text": "",
    }
    assert len({row["id"] for row in found}) == 5

    page = Path(verb("report", run)["report"]).read_text("utf-8")
    shown = {"text": '<span class="text">', "series": '<svg class="series"'}
    assert page.count(shown[kind]) > 40
    assert "<img" not in page


def entries(plugin, src):
    with installed(plugin):
        return list(stepwell.open_source(src).entries())


@pytest.mark.parametrize("plugin", ["text", "series"])
def test_a_kind_of_data_takes_sixty_lines(plugin):
    (file,) = (PLUGINS / plugin).glob("*.py")
    assert len(file.read_text("utf-8").splitlines()) <= MOST_LINES


@pytest.mark.parametrize("plugin", ["text", "series"])
def test_plug_ins_are_what_the_interfaces_say(plugin, tmp_path):
    src = CASES[plugin][3](tmp_path)
    with installed(plugin):
        assert isinstance(stepwell.open_source(src), Source)
        for room, interface in (("pretexts", Pretext), ("encoders", Encoder)):
            (point,) = entry_points(group=f"stepwell.{room}")
            members = {n for n in vars(interface) if not n.startswith("_")} | {"name", "kinds"}
            missing = [n for n in members if not hasattr(point.load(), n)]
            assert not missing, f"{point.name} lacks {missing}"


def test_a_series_plug_in_may_be_called_like_what_is_built_in_for_images():
    with installed("series"):
        assert registered("pretexts", PRETEXTS)["two_views"].kinds == {"series"}
        assert for_kind("pretexts", PRETEXTS, "series").kinds == {"series"}
        assert for_kind("pretexts", PRETEXTS, "image") is PRETEXTS["two_views"]
    assert registered("pretexts", PRETEXTS) == PRETEXTS


def test_pairs_without_a_kind_say_so(tmp_path, call):
    src = own_text(tmp_path)
    with installed("text"):
        said = call("learn", src, "--out", tmp_path / "run", "--pretext", "neighbors")
    assert said.code == 2
    assert "Did you mean 'neighbours'?" in said.err


class Thrice:
    """Three views of every example, each a pair of its own with it."""

    name, kinds, target = "thrice", frozenset({"image"}), "same"

    def pairs(self, batch, seed, epoch=0):
        for number in range(3):
            yield from TwoViews("noise:0.02").pairs(batch, seed, number)


@pytest.mark.usefixtures("tiny")
def test_a_pretext_may_make_several_pairs_of_an_example(digits, tmp_path):
    run = stepwell.learn(digits, tmp_path / "run", pretext=Thrice(), report=False)
    assert run.config["learn"]["pretext"] == "thrice"
    rows = json.loads((run.path / "scores.json").read_text("utf-8"))["retrieval"]
    for row in rows:
        assert 0 <= row["low"] <= row["value"] <= row["high"] <= 100
    # Hardly changed at all, a view finds its own example.
    assert rows[0]["value"] > 60


def test_a_view_of_a_plugin_is_known_by_its_name(digit_batch):
    with installed("tiny"):
        check_view(parse("negative:1")[0], digit_batch)
        turned = render(digit_batch, parse("negative:1"), 0).data["image"]
        with pytest.raises(UsageError, match="Did you mean 'negative'"):
            parse("negativ")
    np.testing.assert_array_equal(turned, 255 - digit_batch.data["image"].astype(np.float32))
    with pytest.raises(UsageError, match="Expected the name of a view"):
        parse("negative")


def test_an_encoder_of_a_plug_in_may_have_any_attribute(tiny_run, tiny, monkeypatch):
    encoder = type(stepwell.load(tiny_run).encoder)
    monkeypatch.setattr(encoder, "takes", "anything", raising=False)
    assert stepwell.load(tiny_run).encoder.width
