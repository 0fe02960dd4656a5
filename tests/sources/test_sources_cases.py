"""Inputs from reports of users of such tools, each with the right answer (K01 to K25)."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from stepwell.interfaces import UsageError
from stepwell.sources import open_source

CASES = Path(os.environ.get("STEPWELL_CASES", Path(__file__).parents[3] / "shared" / "cases"))
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the cases are not here")

HALVES = {"good": 60, "bad": 60}


@pytest.mark.parametrize(
    ("path", "options", "count", "aside", "labels"),
    [
        ("k01a_hf_text_disk/data", {}, 90, 0, {"neg": 45, "pos": 45}),
        ("k02a_docs_with_pictures/docs", {}, 40, 0, None),
        ("k02a_docs_with_pictures/docs", {"unit": "document"}, 40, 0, None),
        ("k02a_docs_with_pictures/docs", {"kind": "image"}, 10, 0, None),
        ("k03a_column_of_short_texts/short.parquet", {"column": "name"}, 90, 0, None),
        ("k03a_column_of_short_texts/short.csv", {"column": "name"}, 90, 0, None),
        ("k04a_polars_ipc_text/pl.arrow", {}, 90, 0, {"neg": 45, "pos": 45}),
        ("k05a_splits_train_sft/data", {"split": "train_sft"}, 30, 0, {"neg": 15, "pos": 15}),
        ("k06a_sentiment_parquet/sentiment.parquet", {}, 90, 0, {"neg": 45, "pos": 45}),
        ("k06a_sentiment_parquet/sentiment.csv", {}, 90, 0, {"neg": 45, "pos": 45}),
        ("k07a_header_tweets/tweets.csv", {}, 120, 0, HALVES),
        ("k08a_semicolon/german.csv", {}, 120, 0, HALVES),
        ("k09a_title_before_body/reviews_title.csv", {}, 120, 0, dict.fromkeys("12345", 24)),
        ("k10a_unclosed_quote/badquote.csv", {}, 120, 1, HALVES),
        ("k11a_tsv_quoted_newline/tsv_quoted_nl.tsv", {}, 60, 0, {"good": 30, "bad": 30}),
        ("k12a_cr_csv_u2028/mac.txt", {}, 120, 0, None),
        ("k12a_cr_csv_u2028/mac_2028_unq.csv", {}, 60, 0, {"good": 30, "bad": 30}),
        ("k13a_nested_json/nested.jsonl", {}, 120, 0, HALVES),
        ("k14a_lone_surrogate/s.jsonl", {}, 60, 0, {"good": 30, "bad": 30}),
        ("k15a_utf16_csv/u16.csv", {}, 60, 0, {"good": 30, "bad": 30}),
        ("k20a_scraped_names/pics", {}, 60, 0, None),
    ],
)
def test_what_is_read_of_a_case(path, options, count, aside, labels):
    source = open_source(CASES / path, **options)
    texts = [
        str(t) for batch in source.batches(64) for t in batch.data.get("text", [""] * len(batch))
    ]
    assert (len(texts), len(source.skipped)) == (count, aside)
    found = source.labels()
    assert (found and dict(Counter(found.values()))) == labels
    assert not any(mark in text for text in texts for mark in ("{'", ";good", ";bad", '"'))
    assert source.decisions[0]["what"] == "kind"


def test_splits_are_asked_for_by_name():
    with pytest.raises(UsageError, match=r"test_sft, train_gen, train_sft.*-o split="):
        open_source(CASES / "k05a_splits_train_sft" / "data")
    with pytest.raises(UsageError, match="Did you mean 'train_sft'"):
        open_source(CASES / "k05a_splits_train_sft" / "data", split="train")


def test_the_body_is_read_not_its_title():
    source = open_source(CASES / "k09a_title_before_body" / "reviews_title.csv")
    assert {"column": "Review Text"}.items() <= {
        r["what"]: r["value"] for r in source.decisions
    }.items()


def test_the_row_of_an_open_quote_is_named():
    source = open_source(CASES / "k10a_unclosed_quote" / "badquote.csv")
    assert sum(map(len, source.batches(64))) == 120
    ((id, reason),) = [(each.id, each.reason) for each in source.skipped]
    assert id.endswith("#row=41")
    assert "never closed (line 42)" in reason


def test_half_a_sign_is_replaced_and_told():
    source = open_source(CASES / "k14a_lone_surrogate" / "s.jsonl")
    assert sum("\ufffd" in t for batch in source.batches(64) for t in batch.data["text"]) == 9
    assert source.mended == {"half a sign replaced by U+FFFD": 9}


def test_names_of_files_in_a_list_are_no_texts():
    with pytest.raises(UsageError, match="names of files"):
        open_source(sorted(map(str, (CASES / "_base").glob("*/*.png"))))
