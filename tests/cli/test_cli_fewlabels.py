"""From suggestions to labels, more labels, promises and doubts, as a user types it."""

from __future__ import annotations

import csv
import json
import re
import shutil

import numpy as np
import pytest
from helpers import write_digits
from PIL import Image

import stepwell
from stepwell.interfaces import UsageError


def rows_of(path):
    with open(path, encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_rows(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["file", "label"])
        writer.writeheader()
        writer.writerows({"file": row["file"], "label": row["label"]} for row in rows)
    return path


def truth_of(name):
    return name.split("/")[-2]


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("few")
    write_digits(folder / "known", 300)
    write_digits(folder / "new", 200, first=300)
    stepwell.learn(folder / "known", folder / "run", preset="fast", report=False)
    return folder


@pytest.fixture
def run(learned, tmp_path):
    shutil.copytree(learned / "run", tmp_path / "run")
    return tmp_path / "run"


def test_labels_are_suggested_filled_in_and_learned_from(call, run, learned, tmp_path):
    out = tmp_path / "labels.csv"
    said = call("suggest", run, "--n", 30, "--out", out)
    assert said.code == 0, said.err
    assert "30 to label" in said.out
    rows = rows_of(out)
    assert len(rows) == 30
    assert not any(row["label"] for row in rows)
    assert "found none yet" in call("finetune", run, "--labels", out).err  # all are blank
    for row in rows[:25]:
        row["label"] = truth_of(row["file"])
    said = call("finetune", run, "--labels", write_rows(out, rows))
    assert said.code == 0, said.err
    assert "25 labelled examples" in said.out
    assert "5 rows have no label yet (line 27: " in said.out
    assert len(rows_of(run / "parts" / "tuned" / "labels.csv")) == 25
    more = tmp_path / "more.csv"
    said = call("suggest", run, "--n", 10, "--out", more)
    assert said.code == 0, said.err
    again = rows_of(more)
    assert sorted(row["label"] for row in again[:25]) == sorted(row["label"] for row in rows[:25])
    assert [row["label"] for row in again[25:]] == [""] * 10
    assert not {row["file"] for row in again[25:]} & {row["file"] for row in rows[:25]}
    told = json.loads(call("suggest", run, "--n", 3, "--labels", out, "--json").out)
    assert all(0 <= row["typical"] <= 1 and 0 <= row["unsure"] <= 1 for row in told)
    assert "found a file at" in call("suggest", run, "--out", out).err
    assert call("suggest", run, "--n", 0).code == 2


def test_predictions_hold_their_promise_and_say_what_is_strange(call, run, learned, tmp_path):
    files = sorted((learned / "known").rglob("*.png"))
    order = np.random.default_rng(0).permutation(len(files))
    some = [files[i] for i in order[:180]]
    labels = [{"file": "/".join(f.parts[-2:]), "label": f.parts[-2]} for f in some]
    told = write_rows(tmp_path / "some.csv", labels)
    assert call("finetune", run, "--labels", told).code == 0
    out = tmp_path / "told.csv"
    said = call("predict", run, learned / "known", "--out", out, "--coverage", 0.9)
    assert said.code == 0, said.err
    had = {"/".join(f.parts[-2:]) for f in some}
    rows = [row for row in rows_of(out) if "/".join(row["file"].split("/")[-2:]) not in had]
    assert len(rows) == 120
    inside = np.mean([truth_of(row["file"]) in row["set"].split("|") for row in rows])
    assert 0.82 <= inside <= 0.98
    believed = [row for row in rows if not row["abstain"]]
    wrong = np.mean([row["label"] != truth_of(row["file"]) for row in believed])
    assert wrong <= 0.13  # a tenth is promised, on average over labels
    least = min(float(row["probability"]) for row in believed)
    for row in rows:
        doubted = float(row["probability"]) < least or float(row["typical"]) < 0.01
        assert bool(row["abstain"]) == doubted
    noise = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1)).astype(np.uint8)
    strange = stepwell.load(run).predict(noise)
    assert "unlike what was learned from" in {row["abstain"] for row in strange}
    assert np.median([row["typical"] for row in strange]) < 0.1
    assert "together they are unlike" not in call("predict", run, learned / "new").out
    many = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1)).astype(np.uint8)
    np.save(tmp_path / "noise.npy", many)
    assert "together they are unlike" in call("predict", run, tmp_path / "noise.npy").out
    assert call("predict", run, learned / "new", "--coverage", 2).code == 2


def test_classes_are_added_without_the_old_labels(call, run, learned, tmp_path):
    files = sorted((learned / "known").rglob("*.png"))
    rows = [{"file": "/".join(f.parts[-2:]), "label": f.parts[-2]} for f in files]
    old = write_rows(tmp_path / "old.csv", [row for row in rows if row["label"] < "6"])
    new = write_rows(tmp_path / "new.csv", [row for row in rows if row["label"] >= "6"])
    whole = write_rows(tmp_path / "whole.csv", rows)
    assert "leave --add out the first time" in call("finetune", run, "--labels", new, "--add").err
    assert call("finetune", run, "--labels", old).code == 0
    said = call("finetune", run, "--labels", new, "--add")
    assert said.code == 0, said.err
    assert "300 labels in all; new classes: 6, 7, 8, 9" in said.out
    assert "was fine-tuned on already" in call("finetune", run, "--labels", new, "--add").err
    rows_more = [*rows[:1], {"file": rows[-1]["file"], "label": "8"}]
    more = write_rows(tmp_path / "more.csv", rows_more)
    assert "Expected the label '9' for" in call("finetune", run, "--labels", more, "--add").err
    told = stepwell.load(run).predict(learned / "new")
    right = [row["label"] == truth_of(row["id"]) for row in told]
    assert np.mean(right) > 0.75
    old_right = [r for r, row in zip(right, told, strict=True) if truth_of(row["id"]) < "6"]
    assert np.mean(old_right) > 0.75
    assert np.mean([row["probability"] for row in told]) == pytest.approx(np.mean(right), abs=0.1)
    assert all(row["set"] is not None for row in told)
    # The same sums, bit for bit, as from all at once.
    added = stepwell.load(run).part("tuned/label_sums")
    assert call("finetune", run, "--labels", whole).code == 0
    at_once = stepwell.load(run).part("tuned/label_sums")
    assert added.classes == at_once.classes
    assert np.array_equal(added.products(), at_once.products())
    # And the same head, in whatever order labels came.
    assert call("finetune", run, "--labels", new).code == 0
    assert call("finetune", run, "--labels", old, "--add").code == 0
    again = stepwell.load(run).predict(learned / "new")
    assert [row["shares"] for row in again] == [row["shares"] for row in told]


def test_a_messy_table_is_told_line_by_line(call, run, learned, tmp_path):
    files = sorted((learned / "known").rglob("*.png"))[::4]
    lines = [f"{f.parts[-2]}/{f.name},{f.parts[-2]}" for f in files]
    lines[3:3] = ["nowhere.png,3", lines[0], lines[1].rsplit(",", 1)[0] + ",9"]
    path = tmp_path / "l.csv"
    path.write_text("file,label\n" + "\n".join(lines) + "\n")
    said = call("finetune", run, "--labels", path)
    assert said.code == 0, said.err
    assert "1 row names no example of this run (line 5: nowhere.png)" in said.out
    assert "1 row says the same again (line 6: " in said.out
    assert "1 example has more than one label, none was believed" in said.out
    found = stepwell.load(run).finetune(path)
    assert found["unmatched"] == 1
    path.write_text("file,label\n" + "\n".join(lines) + '\n"half,1\n')
    said = call("finetune", run, "--labels", path)
    assert said.code == 2
    assert f"found in line {len(lines) + 2}" in said.err


def test_the_same_example_is_labelled_once_or_not_at_all(call, run, learned, tmp_path):
    folder = tmp_path / "labelled"
    write_digits(folder, 100)
    one, two, three = sorted(folder.rglob("*.png"))[:3]
    kind, other = one.parent.name, next(p for p in folder.iterdir() if p.name != one.parent.name)
    shutil.copy(one, other / "contradicts.png")
    shutil.copy(two, two.parent / "again.png")
    three.write_bytes(three.read_bytes()[:40])
    said = call("finetune", run, "--labels", folder)
    assert said.code == 0, said.err
    assert "98 labelled examples" in said.out
    assert "1 example says the same again" in said.out
    assert "1 example has more than one label, none was believed" in said.out
    assert f"{kind!r}" in said.out
    assert "1 example can't be read" in said.out
    assert "is replaced" in call("finetune", run, "--labels", folder).out


def test_what_can_not_be_read_is_told_of(call, run, learned, tmp_path):
    shutil.copytree(learned / "new", tmp_path / "new")
    some = sorted((tmp_path / "new").rglob("*.png"))
    some[0].write_bytes(some[0].read_bytes()[:40])
    assert call("finetune", run, "--labels", learned / "known").code == 0
    said = call("predict", run, tmp_path / "new", "--out", tmp_path / "o.csv")
    assert said.code == 0
    assert f"set aside  '{some[0].relative_to(tmp_path / 'new')}'" in said.err
    assert len(rows_of(tmp_path / "o.csv")) == 199
    assert "Expected a run of texts for -" in call("predict", run, "-").err
    assert call("finetune", run, "--labels", learned / "known", "--suspects", "x.txt").code == 2


def test_columns_and_classes_may_have_the_same_name(call, run, learned, tmp_path):
    shutil.copytree(learned / "known", tmp_path / "odd")
    for old, new in (("0", "set"), ("1", "label"), ("2", "file")):
        (next((tmp_path / "odd").rglob(f"{old}"))).rename(tmp_path / "odd" / new)
    assert call("finetune", run, "--labels", tmp_path / "odd").code == 0
    assert call("predict", run, learned / "new", "--out", tmp_path / "o.csv").code == 0
    row = rows_of(tmp_path / "o.csv")[0]
    assert {"file", "label", "set", "share:set", "share:label", "share:file"} <= set(row)
    shares = [float(row[name]) for name in row if name.startswith("share:")]
    assert sum(shares) == pytest.approx(1, abs=1e-6 * len(shares))  # as they are rounded


def test_with_too_few_labels_for_sets_what_is_likely_wrong_is_marked(call, run, learned, tmp_path):
    first = {}
    for file in sorted((learned / "known").rglob("*.png")):
        first.setdefault(
            file.parts[-2], {"file": "/".join(file.parts[-2:]), "label": file.parts[-2]}
        )
    labels = write_rows(tmp_path / "l.csv", list(first.values()))
    assert call("finetune", run, "--labels", labels).code == 0
    assert "without a promise" in call("status", run).out
    rows = stepwell.load(run).predict(learned / "new")
    assert 0 < sum(bool(row["abstain"]) for row in rows) < len(rows)
    for row in rows:
        assert row["set"] is None
        assert bool(row["abstain"]) == (row["probability"] < 0.5 or row["typical"] < 0.01)


def test_wrong_labels_are_listed(call, run, learned, tmp_path):
    files = sorted((learned / "known").rglob("*.png"))
    rows = [{"file": "/".join(f.parts[-2:]), "label": f.parts[-2]} for f in files]
    wrong = np.random.default_rng(0).permutation(len(rows))[:20]
    for i in wrong:
        rows[i]["label"] = str((int(rows[i]["label"]) + 1) % 10)
    labels, out = write_rows(tmp_path / "l.csv", rows), tmp_path / "doubts.csv"
    said = call("finetune", run, "--labels", labels, "--suspects", out)
    assert said.code == 0, said.err
    assert "labels are doubtful" in said.out
    found = [row["file"] for row in rows_of(out)]
    bad = {f"train/{rows[i]['file']}" for i in wrong} | {rows[i]["file"] for i in wrong}
    first = [name in bad or "/".join(name.split("/")[-2:]) in bad for name in found[:20]]
    assert np.mean(first) > 0.6


def test_options_that_do_not_go_together_are_refused(run, learned):
    opened = stepwell.load(run)
    labels = learned / "known"
    for wrong, told in (
        ({"engine": "magic"}, "spectral or gradient, found 'magic'"),
        ({"rate": 0.1}, "--engine gradient with settings"),
        ({"engine": "gradient", "add": True}, "it is a closed form"),
        ({"engine": "gradient", "speed": 1}, "found 'speed'"),
        ({"engine": "gradient"}, "run with a network, found the encoder 'patches'"),
    ):
        with pytest.raises(UsageError, match=told):
            opened.finetune(labels, **wrong)


def test_a_run_says_where_it_is(call, run, learned):
    names = ["absorbed", "regulated itself", "compared and recalibrated", "ready to act"]
    phases = stepwell.load(run).phases
    assert [row["phase"] for row in phases] == names
    assert all(row["evidence"] for row in phases)
    assert "300 examples" in phases[0]["evidence"][0]
    assert "stepwell suggest" in phases[3]["evidence"][1]
    assert "absorbed: 300 examples" in call("status", run).out
    assert call("finetune", run, "--labels", learned / "known").code == 0
    assert "fine-tuned on 300 labels of 10 classes" in call("status", run).out
    assert call("report", run).code == 0
    page = (run / "report.html").read_text()
    assert "How it judged itself" in page
    assert "compared and recalibrated" in page


def test_it_is_told_how_accuracy_falls_as_examples_get_worse(call, run, learned):
    said = call("evaluate", run, "--labels", learned / "known", "--robust", "--json")
    assert said.code == 0, said.err
    rows = json.loads(said.out)["robustness"]
    assert {row["change"] for row in rows} == {"noise", "blur", "rotation", "brightness"}
    assert {row["name"] for row in rows} == {"stepwell", "whitening only", "raw input"}
    mine = [r["accuracy"] for r in rows if (r["name"], r["change"]) == ("stepwell", "rotation")]
    assert len(mine) == 6
    assert mine[0] > mine[-1]
    assert call("report", run).code == 0
    assert "Worse: rotation" in (run / "report.html").read_text()
    said = call("evaluate", run, "--labels", learned / "known", "--robust")
    assert re.search(r"rotation +whitening only +\d", said.out)


def test_what_it_was_tuned_to_is_replaced_whole_or_not_at_all(run, learned, monkeypatch):
    opened = stepwell.load(run)
    opened.finetune(learned / "known")
    before = opened.predict(learned / "new")
    names = {f"train/{f.parts[-2]}/{f.name}": "ab"[int(f.parts[-2]) % 2] for f in _files(learned)}

    def fails(*_):
        raise OSError("no room")

    with monkeypatch.context() as patch:
        patch.setattr("stepwell.heads._as_csv", fails)  # the last of what is written
        with pytest.raises(OSError, match="no room"):
            opened.finetune(names)
    assert stepwell.load(run).predict(learned / "new") == before
    assert sorted(path.name for path in (run / "parts" / "tuned").iterdir()) == [
        "curve.json",
        "head",
        "label_sums",
        "labels.csv",
        "witnesses",
    ]
    opened.finetune(names)
    assert {row["label"] for row in opened.predict(learned / "new")} == {"a", "b"}
    assert not [path for path in (run / "parts").iterdir() if path.name.startswith(".")]


def test_runs_that_were_tuned_before_still_tell_labels(run, learned):
    opened = stepwell.load(run)
    opened.finetune(learned / "known")
    told = opened.predict(learned / "new")
    parts = run / "parts"
    shutil.move(parts / "tuned" / "head", parts / "head")  # where it used to be
    shutil.rmtree(parts / "tuned")
    assert stepwell.load(run).predict(learned / "new") == told
    with pytest.raises(UsageError, match="fine-tuned in closed form"):
        opened.finetune(learned / "new", add=True)
    opened.finetune(learned / "known")
    assert not (parts / "head").exists()


def test_labels_of_other_files_with_the_same_names_are_not_taken_for_ones_own(
    run, learned, tmp_path
):
    for file in _files(learned)[::5]:
        target = tmp_path / "other" / file.relative_to(learned / "known")
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(255 - np.array(Image.open(file))).save(target)
    opened = stepwell.load(run)
    assert opened.finetune(tmp_path / "other")["labelled"] == 60
    everything = {row["id"] for row in opened.suggest(1000)}
    assert everything == set(map(str, opened.index[0]))  # none of its own has a label
    opened.finetune(learned / "known")
    with pytest.raises(UsageError, match="found none: all 300 have one"):
        opened.suggest(1)


def _files(learned):
    return sorted((learned / "known").rglob("*.png"))


def test_learning_anew_does_not_take_labels_along(call, digits, tmp_path):
    run = tmp_path / "r"
    words = ("learn", digits, "--out", run, "--preset", "fast", "--no-report")
    assert call(*words).code == 0
    assert call("finetune", run, "--labels", digits).code == 0
    said = call(*words, "--overwrite")
    assert said.code == 2
    assert "fine-tuned on 100 labels of 10 classes (0, 1, 2 …)" in said.err
    assert "--overwrite all" in said.err
    assert (run / "parts" / "tuned" / "labels.csv").is_file()
    assert call("learn", "--overwrite", *words[1:]).code == 2  # a path after it is no word of it
    assert call(*words, "--overwrite", "all").code == 0
    assert not (run / "parts" / "tuned").exists()
    assert call(*words, "--overwrite").code == 0


def test_several_files_are_told_one_after_the_other(call, run, learned):
    files = sorted((learned / "known").rglob("*.png"))[:60]
    said = call("finetune", run, "--labels", learned / "known", "--json")
    assert said.code == 0, said.err
    told = json.loads(call("predict", run, files[0], files[1], "--json").out)
    assert [row["id"] for row in told] == [str(files[0]), str(files[1])]
    opened = stepwell.load(run)
    again = opened.predict([files[0], str(files[1])])
    assert [row["label"] for row in again] == [row["label"] for row in told]
    assert again[1]["probability"] == pytest.approx(opened.predict(files[1])[0]["probability"])
    folders = opened.predict([learned / "known", learned / "new"])
    assert len(folders) == sum(len(opened.predict(learned / name)) for name in ("known", "new"))
    assert len({row["id"] for row in folders}) == len(folders)
    assert folders[0]["id"].startswith(f"{learned / 'known'}#")
    assert call("predict", run, files[0], learned / "nowhere.png").code == 2


def test_a_page_to_label_on(call, run, learned, tmp_path):
    page = tmp_path / "page.html"
    said = call("suggest", run, "--n", 6, "--html", page)
    assert said.code == 0, said.err
    assert "label there, save labels.csv" in said.out
    html = page.read_text("utf-8")
    rows = json.loads(call("suggest", run, "--n", 6, "--json").out)
    assert html.count('<input list="classes"') == 6
    assert all(f'data-file="{row["id"]}"' in html for row in rows)
    assert html.count("data:image/") == 6
    assert "http" not in html.replace("http-equiv", "")
    assert call("suggest", run, "--n", 6, "--html", page).code == 2  # there already
