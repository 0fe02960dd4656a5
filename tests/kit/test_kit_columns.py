"""Columns by name and by content."""

from __future__ import annotations

import pytest

from stepwell.kit.columns import (
    called,
    first_called,
    is_header,
    is_number,
    label_column,
    names_files,
    plain_name,
    text_column,
    words,
)

SENTENCES = [f"a sentence of some words about thing {i}" for i in range(20)]
SHORT = [f"Nice {i % 3}" for i in range(20)]


def chosen(**columns):
    found = text_column(columns, {name: name.replace("_", " ") for name in columns})
    return None if found is None else found.key


def test_names_are_compared_without_their_spelling():
    assert plain_name(" Review_Text ") == plain_name("review-text") == "review text"
    assert called("airline_sentiment", ("label", "sentiment")) == 3
    assert called("Sentiment", ("label", "sentiment")) == 1
    assert called("what he said in this text", ("text",)) is None
    assert called("sentimental", ("label", "sentiment")) is None
    assert first_called({0: "target", 1: "label"}, ("label", "target")) == 1


def test_the_body_is_the_text_not_its_title():
    assert chosen(Title=SHORT, Review_Text=SENTENCES) == "Review_Text"
    assert chosen(title=SHORT, selftext=SENTENCES) == "selftext"
    assert chosen(headline=SHORT, article=SENTENCES) == "article"
    assert chosen(subject=SHORT, message=SENTENCES) == "message"
    assert chosen(title=SHORT) == "title"


def test_a_column_called_text_is_the_text():
    assert chosen(text=SHORT, explanation=SENTENCES) == "text"
    assert chosen(label_text=SENTENCES, text=SHORT) == "text"
    assert chosen(content=["news"] * 20, body_of_it=SENTENCES) == "body_of_it"
    assert chosen(x=["1"] * 20, y=["word"] * 20) is None
    assert chosen() is None


def test_words_of_languages_without_spaces():
    assert words("这部手机的电池可以使用") > 4
    assert words("two words") == 2


def test_labels_are_called_so_or_come_again_and_again():
    columns = {"t": SENTENCES, "n": [str(i % 3) for i in range(20)], "k": ["ja", "nein"] * 10}
    names = {"t": "Kommentar", "n": "Age", "k": "Bewertung"}
    assert label_column(columns, names, "t").key == "k"
    assert label_column(columns, names | {"n": "Rating"}, "t").key == "n"
    assert label_column({"t": SENTENCES, "n": columns["n"]}, {"t": "t", "n": "Age"}, "t") is None
    assert label_column({"t": SENTENCES, "n": ["0", "1"] * 10}, {}, "t").key == "n"
    many = {"t": SENTENCES, "k": ["a", "b"] * 10, "m": ["c", "d"] * 10}
    assert label_column(many, {name: f"{name}x" for name in many}, "t") is None


@pytest.mark.parametrize(
    ("first", "rows", "header"),
    [
        (["tweet_id", "airline_sentiment", "tweet"], [["1", "a", "b c"]], True),
        (["Kommentar", "Bewertung"], [[s, "ab"[i % 2]] for i, s in enumerate(SENTENCES)], True),
        (
            ["a great film", "pos"],
            [[s, ["pos", "neg"][i % 2]] for i, s in enumerate(SENTENCES)],
            False,
        ),
        (["a great film", "1"], [[s, "0"] for s in SENTENCES], False),
        (["great", "pos"], [["x y", "pos"]] * 20, False),
        (["name", "price"], [["Widget", "1"]], True),
        (["Größe", "Gewicht"], [[str(i), str(i)] for i in range(9)], True),
        (["a", "a"], [["b c", "1"]] * 9, False),
        (["", ""], [["b", "c"]] * 9, False),
        (["one column of text"], [[s] for s in SENTENCES], False),
    ],
)
def test_the_first_row_names_columns_or_is_an_example(first, rows, header):
    assert is_header(first, rows) is header


@pytest.mark.parametrize("cell", ["1", "-2.5", "1,5", "1e-5", ".5", "7 %", "1,234.5"])
def test_numbers(cell):
    assert is_number(cell)
    assert not is_number(f"x{cell}")


def test_tables_that_name_files():
    assert names_files(["file_name", "label"])
    assert names_files(["id", "Class"])
    assert not names_files(["id", "label", "text"])
    assert not names_files(["file", "size"])
