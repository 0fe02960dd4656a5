"""Every verb on small real data: what it prints, writes, and says as JSON."""

from __future__ import annotations

import csv
import json
import math
import re
import shutil
import struct
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from helpers import photo_windows, write_digits, write_network
from PIL import Image
from sklearn.datasets import load_digits

import stepwell
from stepwell.cli.main import VERBS
from stepwell.engines import USES
from stepwell.evaluate.pretrained import Frozen
from stepwell.planning import plan
from stepwell.sources import open_source

pytestmark = pytest.mark.usefixtures("tiny")


def parsed(said) -> object:
    """The one JSON document on standard output; NaN is none of JSON's numbers."""
    assert said.code == 0, said.err + said.out
    return json.loads(said.out, parse_constant=pytest.fail)


def ids_of(folder: Path) -> list[str]:
    return [str(p.relative_to(folder)) for p in sorted(folder.rglob("*.png"))]


# learn


def test_learn_writes_a_run_and_says_what_comes_next(call, digits, tmp_path):
    run = tmp_path / "run"
    said = call("learn", digits, "--out", run)
    assert said.code == 0, said.err
    assert said.out.startswith("It ")
    for words in ("stepwell ", "raw input", "PCA of the input", "random encoder", "shuffled pairs"):
        assert words in said.out
    assert f"run     {run}" in said.out
    assert f"report  {run / 'report.html'}" in said.out
    assert re.search(r"next    stepwell search \S+ train/\d/\d{4}\.png -n 10", said.out)
    names = {p.name for p in run.iterdir()}
    expected = {
        "config.toml",
        "parts",
        "examples.parquet",
        "spectrum.parquet",
        "embeddings.parquet",
    }
    assert expected | {"steps.jsonl", "scores.json", "card.md", "report.html"} <= names
    assert not any(name.endswith((".pkl", ".pickle", ".pt", ".scratch")) for name in names)
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_what_a_run_says_of_its_examples(tiny_run, digits):
    table = parquet.read_table(tiny_run / "examples.parquet")
    assert table.column_names == ["id", "digest", "group", "fold", "founder"]
    assert table["id"].to_pylist() == ids_of(digits)
    assert table["group"].to_pylist() == table["id"].to_pylist()
    assert all(re.fullmatch("[0-9a-f]{32}", d) for d in table["digest"].to_pylist())
    spectrum = parquet.read_table(tiny_run / "spectrum.parquet")["eigenvalue"].to_numpy()
    assert (np.diff(spectrum) <= 1e-12).all()
    assert 0 < spectrum[-1] <= spectrum[0] <= 1 + 1e-9
    steps = [json.loads(s) for s in (tiny_run / "steps.jsonl").read_text("utf-8").splitlines()]
    assert {"list", "learn", "solve"} <= {step["event"] for step in steps}


def test_the_same_command_gives_the_same_run(call, digits, tmp_path):
    for name in ("one", "two"):
        parsed(call("learn", digits, "--out", tmp_path / name, "--no-report", "--json"))
    one, two = (parquet.read_table(tmp_path / n / "embeddings.parquet") for n in ("one", "two"))
    assert one.equals(two)
    scores = [json.loads((tmp_path / n / "scores.json").read_text("utf-8")) for n in ("one", "two")]
    assert scores[0] == scores[1]


def test_labels_never_touch_learning(call, digits, tmp_path, tiny_run):
    scored = parsed(
        call("learn", digits, "--out", tmp_path / "r", "--labels", digits, "--no-report", "--json")
    )
    assert scored["labelled"]
    plain, other = (
        parquet.read_table(run / "embeddings.parquet") for run in (tiny_run, tmp_path / "r")
    )
    assert plain.equals(other)


def test_without_out_the_run_is_named_after_its_source(call, digits, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = parsed(call("learn", digits, "--no-report", "--json"))
    assert Path(found["run"]) == tmp_path / "runs" / digits.name
    assert "stepwell search runs/" in call("learn", digits, "--overwrite", "--no-report").out


def test_dry_run_writes_nothing(call, digits, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = parsed(call("learn", digits, "--dry-run", "--json"))
    assert plan["found"] == 100
    assert plan["kind"] == "image"
    assert plan["seconds"] >= 0
    assert {"time", "memory", "disk", "features"} <= set(plan)
    assert "found  100" in call("learn", digits, "--dry-run").out
    assert list(tmp_path.iterdir()) == []


def test_dry_run_knows_how_large_the_encoder_will_be(tmp_path):
    images = photo_windows(96)
    run = stepwell.learn(images, tmp_path / "run", preset="fast", report=False)
    found = plan(open_source(images), "fast", 0)
    assert found["features"] == run.encoder.width
    assert found["dimensions"] >= run.width  # at most: the choice without labels may take fewer


@pytest.mark.parametrize("budget", ["1h", "0.001s"])
def test_a_budget_decides_how_much_is_learned_from(call, digits, tmp_path, budget):
    words = ("learn", digits, "--out", tmp_path / "r", "--no-report", "--json")
    found = parsed(call(*words, "--budget", budget))
    # There are fewer examples than founders here: these are always learned from.
    assert found["examples"] == 100
    share = stepwell.load(tmp_path / "r").config["learn"]["share"]
    assert share == 1


def test_options_of_the_source(call, digits, tmp_path):
    words = ("learn", digits, "--json", "--no-report")
    parsed(call(*words, "--out", tmp_path / "r", "-o", "canvas=16"))
    options = stepwell.load(tmp_path / "r").config["source"]["options"]
    assert options["canvas"] == 16
    plan = parsed(call(*words, "--dry-run", "-o", "canvas=16"))
    assert "[16, 16" in plan["shape"]
    wrong = call("learn", digits, "-o", "canvas")
    assert wrong.code == 2
    assert "Expected NAME=VALUE after -o, found 'canvas'" in wrong.err
    misspelt = call("learn", digits, "-o", "canvs=16")
    assert misspelt.code == 2
    assert "Did you mean 'canvas'" in misspelt.err


def test_views_can_be_chosen(call, digits, tmp_path):
    words = ("learn", digits, "--no-report", "--json")
    parsed(call(*words, "--out", tmp_path / "a", "--views", "crop:0.3 noise:0.05"))
    parsed(call(*words, "--out", tmp_path / "b", "--recalibrate", "off"))
    assert stepwell.load(tmp_path / "a").recipe == ["crop:0.3 noise:0.05"]
    assert stepwell.load(tmp_path / "b").config["views"] == []


def test_founders_of_a_sibling_make_embeddings_comparable(call, digits, tiny_run, tmp_path):
    more = write_digits(tmp_path / "more", 40, first=200)
    words = ("learn", more, "--out", tmp_path / "r", "--no-report", "--json")
    parsed(call(*words, "--founders-from", tiny_run))
    ours, theirs = stepwell.load(tmp_path / "r"), stepwell.load(tiny_run)
    np.testing.assert_array_equal(ours.map.quantiser.mean, theirs.map.quantiser.mean)
    assert ours.recipe == theirs.recipe


@pytest.mark.parametrize("form", ["zip", "npy", "npz"])
def test_other_sources_go_all_the_way(call, digits, tmp_path, form):
    src = tmp_path / f"data.{form}"
    if form == "zip":
        shutil.make_archive(str(tmp_path / "data"), "zip", digits)
    else:
        images = load_digits().images[:60].astype(np.uint8) * 15
        np.save(src, images) if form == "npy" else np.savez(src, x=images)
    run = tmp_path / "run"
    found = parsed(call("learn", src, "--out", run, "--no-report", "--json"))
    assert found["examples"] == (100 if form == "zip" else 60)
    ids = parquet.read_table(run / "embeddings.parquet")["id"].to_pylist()
    assert parsed(call("search", run, ids[2], "--json"))[0]["id"] == ids[2]
    parsed(call("embed", run, src, "--out", tmp_path / "z.npy", "--json"))
    assert len(np.load(tmp_path / "z.npy")) == found["examples"]
    page = Path(parsed(call("report", run, "--json"))["report"]).read_text("utf-8")
    assert page.count("<img") > 40


# overwriting


def test_a_run_is_not_replaced_unless_asked(call, digits, tmp_path):
    words = ("learn", digits, "--out", tmp_path / "r", "--no-report")
    assert call(*words).code == 0
    created = (tmp_path / "r" / "config.toml").stat().st_mtime_ns
    again = call(*words)
    assert again.code == 2
    assert "add --overwrite (in Python overwrite=True) to replace it" in again.err
    assert (tmp_path / "r" / "config.toml").stat().st_mtime_ns == created
    assert call(*words, "--overwrite").code == 0
    assert (tmp_path / "r" / "config.toml").stat().st_mtime_ns > created
    assert [p.name for p in tmp_path.iterdir()] == ["r"]


def test_what_is_no_run_is_never_replaced(call, digits, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    (tmp_path / "file").write_text("x")
    for name in ("mine", "file"):
        said = call("learn", digits, "--out", tmp_path / name, "--overwrite", "--no-report")
        assert said.code == 2
        assert "found something else" in said.err
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_views_are_checked_before_they_are_needed(call, digits):
    said = call("learn", digits, "--dry-run", "--views", "flip,zoom")
    assert said.code == 2
    assert "spaces between views: 'flip zoom'" in said.err


@pytest.mark.parametrize(
    "wrong",
    [
        ("--views", "corp"),
        ("--preset", "fats"),
        ("--encoder", "patchs"),
        ("--pretext", "tow_views"),
        ("--budget", "soon"),
        ("--labels", "nowhere.csv"),
    ],
    ids=lambda words: words[0],
)
def test_a_failed_first_try_does_not_block_the_corrected_command(call, digits, tmp_path, wrong):
    words = ("learn", digits, "--out", tmp_path / "r", "--no-report")
    assert call(*words, *wrong).code in (1, 2)
    assert list(tmp_path.iterdir()) == []
    assert call(*words).code == 0


# evaluate


def test_evaluate_by_folders(call, digits, tiny_run, tmp_path):
    found = parsed(call("evaluate", tiny_run, "--labels", digits, "--json"))
    assert found["classes"] == 10
    assert found["bank"] + found["test"] == 100
    rows = found["labelled"]
    assert {row["role"] for row in rows} == {"ours", "control", "ladder"}
    assert {row["reader"] for row in rows} == {"knn", "probe"}
    assert {str(row["labels"]) for row in rows} == {"1", "5", "10", "all"}
    assert all(row["low"] <= row["value"] <= row["high"] for row in rows)
    assert all(row["n"] == found["test"] for row in rows)
    assert "raw input" in found["ours_minus"]
    assert "features alone" in found["ours_minus_few"]
    assert [row["labels"] for row in found["head"]] == [1, 5, 10, "all"]
    assert all(row["low"] <= row["value"] <= row["high"] for row in found["head"])
    assert f"{found['head'][-1]['value']:.1f} % with all labels" in found["verdict"]["sentence"]
    counts = np.array(found["confusion"]["counts"])
    assert counts.sum() == found["test"]
    assert np.isclose(100 * counts.trace() / counts.sum(), found["head"][-1]["value"], atol=0.01)
    kept = json.loads((tiny_run / "scores.json").read_text("utf-8"))
    assert kept["labelled"] == rows
    assert kept["retrieval"]  # what was measured without labels stays
    said = call("evaluate", tiny_run, "--labels", digits)
    assert said.out.startswith(found["verdict"]["sentence"])
    assert "kNN accuracy, %" in said.out
    assert "linear probe, %" in said.out
    assert "stepwell finetune, %" in said.out
    assert "told with all labels" in said.out


@pytest.mark.parametrize("form", ["csv", "tsv", "bom"])
def test_evaluate_by_a_table(call, digits, tiny_run, tmp_path, form):
    mark, comma = ("\ufeff", ",") if form == "bom" else ("", "\t" if form == "tsv" else ",")
    lines = [f"file{comma}label"] + [
        f"{id}{comma}{'even' if int(id.split('/')[1]) % 2 == 0 else 'odd'}" for id in ids_of(digits)
    ]
    file = tmp_path / f"labels.{'tsv' if form == 'tsv' else 'csv'}"
    file.write_text(mark + "\n".join(lines), "utf-8")
    found = parsed(call("evaluate", tiny_run, "--labels", file, "--json"))
    assert found["classes"] == 2
    assert found["bank"] + found["test"] == 100


def test_evaluate_on_a_test_set_of_its_own(call, digits, tiny_run, tmp_path):
    test = write_digits(tmp_path / "test", 50, first=300)
    found = parsed(call("evaluate", tiny_run, "--labels", digits, "--test", test, "--json"))
    assert (found["bank"], found["test"]) == (100, 50)


def test_evaluate_beside_a_pretrained_network(call, digits, tiny_run, tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    network = write_network(tmp_path / "net.onnx", ("n", 3, 40, 40))
    seen = set()
    whole = Frozen._run
    monkeypatch.setattr(Frozen, "_run", lambda self, x: seen.add(x.shape[1:3]) or whole(self, x))
    words = ("evaluate", tiny_run, "--labels", digits, "--json")
    found = parsed(call(*words, "--pretrained", network))
    assert {row["role"] for row in found["labelled"] if row["name"] == "frozen pretrained"} == {
        "control"
    }
    assert "frozen pretrained" in found["ours_minus"]
    assert seen == {(40, 40)}  # as large as it takes, not on the canvas of the run
    said = call(*words, "--pretrained", tmp_path / "absent.onnx")
    assert said.code == 2
    assert "found none at" in said.out


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("name,colour\na,b\n", "Expected a header file,label"),
        ("", "Expected a header file,label"),
        ("file,label\nnothing.png,1\n", "such as 'nothing.png'"),
        ("file,label\ntrain/0/0000.png,1\n", "at least two classes"),
    ],
)
def test_labels_that_can_not_be_used(call, tiny_run, tmp_path, content, words):
    (tmp_path / "labels.csv").write_text(content)
    said = call("evaluate", tiny_run, "--labels", tmp_path / "labels.csv")
    assert said.code == 2
    assert words in said.err


# embed


def test_embed_parquet(call, digits, tiny_run, tmp_path):
    out = tmp_path / "z.parquet"
    found = parsed(call("embed", tiny_run, digits, "--out", out, "--json"))
    source = found.pop("source")
    assert found == {"out": str(out), "examples": 100, "for": None, "skipped": []}
    assert [row["what"] for row in source["decisions"]] == ["kind"]
    assert source["set_aside"] == source["passed_over"] == {}
    table = parquet.read_table(out)
    assert table.schema == pa.schema([("id", pa.string()), ("embedding", pa.list_(pa.float32()))])
    assert table["id"].to_pylist() == ids_of(digits)
    z = np.array(table["embedding"].to_pylist(), np.float32)
    np.testing.assert_array_equal(z, stepwell.load(tiny_run).embed(digits))
    np.testing.assert_allclose(np.linalg.norm(z, axis=1), 1, atol=1e-5)


def test_embed_for_a_use(call, digits, tiny_run, tmp_path):
    out, run = tmp_path / "z.npy", stepwell.load(tiny_run)
    for use in USES:
        parsed(call("embed", tiny_run, digits, "--for", use, "--out", out, "--overwrite", "--json"))
        np.testing.assert_array_equal(np.load(out), run.embed(digits, use=use))
        assert use in call("embed", "--help").out
    failed = call("embed", tiny_run, digits, "--for", "art", "--out", tmp_path / "y.npy")
    assert failed.code == 2
    assert "few, many, search, cluster" in failed.err
    assert not (tmp_path / "y.npy").exists()


def test_embed_npy_and_csv_are_the_same(call, digits, tiny_run, tmp_path):
    for form in ("npy", "csv"):
        parsed(call("embed", tiny_run, digits, "--out", tmp_path / f"z.{form}", "--json"))
    z = np.load(tmp_path / "z.npy", allow_pickle=False)
    assert z.dtype == np.float32
    with open(tmp_path / "z.csv", newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    assert head == ["id", *(f"e{i}" for i in range(z.shape[1]))]
    assert [row[0] for row in rows] == ids_of(digits)
    np.testing.assert_allclose(np.array([row[1:] for row in rows], float), z, rtol=1e-5, atol=1e-7)


def test_new_images_of_another_size_are_read_as_the_run_reads_its_own(call, tiny_run, tmp_path):
    src = tmp_path / "new"
    src.mkdir()
    for i in range(3):
        image = np.rint(load_digits().images[900 + i] * (255 / 16)).astype(np.uint8)
        Image.fromarray(image).resize((40, 30)).save(src / f"{i}.png")
    parsed(call("embed", tiny_run, src, "--out", tmp_path / "z.npy", "--json"))
    assert np.load(tmp_path / "z.npy").shape == (3, stepwell.load(tiny_run).width)


def test_embed_replaces_a_file_only_where_asked(call, digits, tiny_run, tmp_path):
    out = tmp_path / "z.npy"
    out.write_text("mine")
    said = call("embed", tiny_run, digits, "--out", out)
    assert said.code == 2
    assert "add --overwrite" in said.err
    assert out.read_text() == "mine"
    assert call("embed", tiny_run, digits, "--out", out, "--overwrite").code == 0
    assert [p.name for p in tmp_path.iterdir()] == ["z.npy"]


def test_a_failed_embed_leaves_nothing(call, tiny_run, tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.png").write_text("no image")
    said = call("embed", tiny_run, tmp_path / "src", "--out", tmp_path / "z.parquet")
    assert said.code == 2
    assert [p.name for p in tmp_path.iterdir()] == ["src"]


# search


def test_search_by_id_and_by_file(call, digits, tiny_run):
    name = ids_of(digits)[17]
    by_id = parsed(call("search", tiny_run, name, "-n", 4, "--json"))
    assert by_id[0] == {"id": name, "cosine": pytest.approx(1, abs=2e-3)}
    assert [row["cosine"] for row in by_id] == sorted((r["cosine"] for r in by_id), reverse=True)
    by_file = parsed(call("search", tiny_run, digits / name, "-n", 4, "--json"))
    assert [row["id"] for row in by_file] == [row["id"] for row in by_id]
    assert name in call("search", tiny_run, name).out
    assert len(parsed(call("search", tiny_run, name, "-n", 1000, "--json"))) == 100


class Page(HTMLParser):
    """Counts tags, and notes what a page would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.fetched = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        found = [v for k, v in attrs if k in ("src", "href") and v]
        self.fetched += [v for v in found if not v.startswith(("data:", "#"))]


def test_search_draws_a_page(call, digits, tiny_run, tmp_path):
    name, page = ids_of(digits)[3], tmp_path / "hits.html"
    said = call("search", tiny_run, name, "-n", 6, "--html", page)
    assert said.code == 0, said.err
    assert str(page) in said.out
    drawn = Page(page.read_text("utf-8"))
    assert drawn.tags.count("img") >= 6
    assert drawn.fetched == []


# the others


def test_report_is_one_file_that_fetches_nothing(call, tiny_run, tmp_path):
    found = parsed(call("report", tiny_run, "--json"))
    drawn = Page(Path(found["report"]).read_text("utf-8"))
    assert drawn.tags.count("img") > 50
    assert drawn.fetched == []


def test_report_where_the_data_is_gone(call, tmp_path):
    src = write_digits(tmp_path / "src", 30)
    assert call("learn", src, "--out", tmp_path / "r", "--no-report").code == 0
    src.rename(tmp_path / "elsewhere")
    without = Page(Path(parsed(call("report", tmp_path / "r", "--json"))["report"]).read_text())
    assert without.tags.count("img") == 0
    found = call("report", tmp_path / "r", "--src", tmp_path / "elsewhere")
    assert found.code == 0
    assert Page((tmp_path / "r" / "report.html").read_text("utf-8")).tags.count("img") > 20


def test_views_draws_a_sheet_and_judges(call, digits, tmp_path):
    out = tmp_path / "sheet.png"
    found = parsed(call("views", digits, "--out", out, "--no-judge", "--json"))
    assert found["sheet"] == str(out)
    assert {row["name"] for row in found["views"]} >= {"crop", "flip", "zoom", "jitter"}
    with Image.open(out) as sheet:
        assert sheet.width > 600
        assert np.asarray(sheet.convert("L")).std() > 10
    said = call("views", digits, "--out", out, "--view", "crop:0.8", "--view", "noise:0.3")
    assert said.out.count("\n") == 3
    wrong = call("views", digits, "--out", out, "--view", "corp:0.8")
    assert wrong.code == 2
    assert "Did you mean 'crop'?" in wrong.err


def test_views_says_which_are_used_and_why(call, digits, tmp_path):
    found = parsed(call("views", digits, "--out", tmp_path / "sheet.png", "--json"))
    judged = [row for row in found["views"] if "why" in row]
    assert {"zoom-strong", "jitter"} <= {row["name"] for row in judged}
    assert any(row["used"] for row in judged)
    rates = [
        row[name] for row in judged for name in ("kept", "natural", "retrieval") if name in row
    ]
    assert all(rate is not None and 0 <= rate < 2 for rate in rates)
    assert all(row["why"].endswith("not used") != row["used"] for row in judged)
    assert len({row["name"] for row in found["views"]}) == len(found["views"])


def test_status_of_a_run_and_of_a_folder_of_runs(call, digits, tiny_run, tmp_path):
    one = parsed(call("status", tiny_run, "--json"))
    assert one["examples"] == 100
    assert one["source"] == str(digits)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.toml").write_text("format = 99\n")
    (tmp_path / ".left.1234.partial").mkdir()
    said = call("status", tmp_path)
    assert said.code == 0
    assert "format 99" in said.out
    assert "unfinished: .left.1234.partial" in said.out
    assert [row["run"] for row in parsed(call("status", tmp_path, "--json"))] == ["broken"]
    (tmp_path / "empty").mkdir()
    assert "no runs" in call("status", tmp_path / "empty").out


def test_doctor(call):
    found = parsed(call("doctor", "--json"))
    assert {"stepwell", "python", "cores", "memory", "BLAS", "disk", "optional"} <= set(found)
    assert found["stepwell"] == stepwell.__version__
    assert "torch" in call("doctor").out


def test_tour_has_the_figures_of_the_run(call, tiny_run):
    steps = parsed(call("tour", tiny_run, "--json"))
    assert [step["step"] for step in steps] == list(range(1, len(steps) + 1))
    assert len(steps) >= 5
    told = "\n".join(step["text"] for step in steps)
    assert "100 examples" in told
    assert "λ = " in told
    said = call("tour", tiny_run, "--no-pause")
    assert said.out.count(f" of {len(steps)} · ") == len(steps)


def idx(path: Path, array: np.ndarray) -> None:
    import gzip

    head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    path.write_bytes(gzip.compress(head + array.astype(np.uint8).tobytes()))


def test_demo_on_files_that_are_here(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    digits = load_digits()
    (tmp_path / "data").mkdir()
    for split, rows in (("train", slice(0, 200)), ("t10k", slice(200, 300))):
        idx(tmp_path / f"data/{split}-images-idx3-ubyte.gz", digits.images[rows] * 15)
        idx(tmp_path / f"data/{split}-labels-idx1-ubyte.gz", digits.target[rows])
    found = parsed(call("demo", "--data", "data", "--examples", 120, "--json"))
    assert found["examples"] == 120
    assert found["test"] == 24
    assert found["labelled"]
    assert (tmp_path / "runs" / "demo" / "report.html").is_file()


def test_json_numbers_are_numbers(call, tiny_run):
    def check(value):
        if isinstance(value, dict):
            return all(check(v) for v in value.values())
        if isinstance(value, list):
            return all(check(v) for v in value)
        return not isinstance(value, float) or math.isfinite(value)

    assert check(parsed(call("status", tiny_run, "--json")))


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_and_offers_json(call, verb):
    said = call(verb, "--help")
    assert said.code == 0
    assert "--json" in said.out


def test_names_of_files_are_enough_for_labels_where_they_are_the_only_ones(
    call, digits, tiny_run, tmp_path
):
    names = [Path(id).name for id in ids_of(digits)]
    alone = [id for id in ids_of(digits) if names.count(Path(id).name) == 1]
    lines = [f"{Path(id).name},{'even' if i % 2 else 'odd'}" for i, id in enumerate(alone)]
    (tmp_path / "labels.csv").write_text("\n".join(["file,label", *lines, "nobody.png,odd"]))
    if not alone:
        pytest.skip("every name stands in several folders here")
    found = parsed(call("evaluate", tiny_run, "--labels", tmp_path / "labels.csv", "--json"))
    assert found["bank"] + found["test"] == len(alone)
    assert found["unmatched"] == 1


def test_a_report_without_its_pictures_keeps_the_old_page(call, tmp_path):
    photos = write_digits(tmp_path / "photos", 100)
    assert call("learn", photos, "--out", tmp_path / "run").code == 0
    before = (tmp_path / "run" / "report.html").read_text("utf-8")
    photos.rename(tmp_path / "elsewhere")
    said = call("report", tmp_path / "run")
    assert said.code == 1
    assert "the page stays as it is" in said.err
    assert (tmp_path / "run" / "report.html").read_text("utf-8") == before
    assert call("report", tmp_path / "run", "--src", tmp_path / "elsewhere").code == 0


def test_just_the_name_shows_the_help(call):
    said = call()
    assert said.code == 0
    assert "Verbs" in said.out
