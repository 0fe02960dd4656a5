"""Values within values."""

from __future__ import annotations

from stepwell.kit.nested import as_label, dug, flat, in_words

ROW = {
    "id": 1,
    "data": {"text": "a b", "more": {"deep": "c"}},
    "annotations": [{"label": "good", "by": "x"}],
    "messages": [{"role": "user", "content": "one two"}, {"role": "bot", "content": "three"}],
}


def test_cells_are_named_by_their_path():
    found = flat(ROW)
    assert found["data.text"] == "a b"
    assert found["data.more.deep"] == "c"
    assert found["messages.content"] == ["one two", "three"]
    assert as_label(found["annotations.label"]) == "good"
    for path, value in found.items():
        assert dug(ROW, path) == value
    assert dug(ROW, "data.none") is None
    assert dug({"a.b": 1}, "a.b") == 1


def test_texts_of_cells():
    assert in_words(["one two", "three"]) == "one two\nthree"
    assert in_words(["to", "kens"]) == "to kens"
    assert in_words({"text": "x"}) is None
    assert in_words([{"text": "x"}]) is None
    assert in_words(None) == in_words(float("nan")) == ""
    assert in_words(b"\xff") is None
    assert in_words("größer".encode()) == "größer"
    assert in_words(3) == "3"


def test_classes_of_cells():
    assert as_label("nan") == "nan"
    assert as_label(float("nan")) == as_label(None) == as_label(["a", "b"]) == as_label({}) == ""
    assert as_label(True) == "True"
    assert as_label(b" a ") == "a"


def test_depth_is_bounded():
    deep: dict = {}
    for _ in range(10_000):
        deep = {"x": deep}
    assert len(flat(deep)) == 1
