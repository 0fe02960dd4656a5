"""Which example a written name means, where folders, spellings and machines differ."""

from __future__ import annotations

import pytest

from stepwell.adapt.naming import named_in

IDS = [f"{i}.png" for i in range(6)]
HERE = "/data/fold2/train"


def meant(names, ids=IDS, roots=(HERE,), beside=""):
    found = named_in(ids, names, roots, beside)
    return {name: which[0] for name, which in found.which.items() if len(which) == 1}


@pytest.mark.parametrize(
    "before",
    [
        "",
        "./",
        "train/",
        "/train/",
        "fold2/train/",
        "./fold2//train/",
        "data/fold2/train/",
        "/data/fold2/train/",
        "/data/fold2/test/../train/",
        "file:///data/fold2/train/",
        ".\\train\\",
    ],
)
def test_folders_that_are_those_of_the_examples_are_left_off(before):
    names = [f"{before}{name}" for name in IDS]
    assert list(meant(names).values()) == IDS


@pytest.mark.parametrize(
    "before",
    [
        "test/",
        "fold1/train/",  # called the same, in another folder
        "/data/fold1/train/",
        "/data/other/train/",  # beside it, on this machine
        "/mnt/disk/fold1/train/",  # its sibling, wherever it is
        "train/train/",
        "trai/",
        "strain/",
        "../",
        "https://host/train/",
        "https://host/data/fold2/train/",
        "train/more/",
    ],
)
def test_folders_that_are_others_name_none(before):
    assert not meant([f"{before}{name}" for name in IDS])


def test_another_part_of_a_data_set_is_not_the_same_one_moved():
    names = [f"/mnt/disk/test/images/{name}" for name in IDS]
    assert not meant(names, roots=["/data/train/images"])
    assert len(meant(names, roots=["/data/test/images"])) == len(IDS)


@pytest.mark.parametrize(
    ("before", "root"),
    [
        ("/home/me/train", HERE),
        ("/home/me/data/train", "/home/you/train"),
        ("C:/Users/me/train", "/home/me/train"),
        ("//server/share/train", "/home/me/train"),
        ("/home/me/pics", "/mnt/pics.tar.gz"),
    ],
)
def test_data_that_was_moved_is_taken_for_the_same_and_told(before, root):
    found = named_in(IDS, [f"{before}/{name}" for name in IDS], [root])
    assert list(found.which.values()) == [[name] for name in IDS]
    assert found.moved == before


def test_of_two_folders_called_the_same_neither_is_taken():
    names = [f"/{'a' if i % 2 else 'b'}/x/train/{name}" for i, name in enumerate(IDS)]
    assert not meant(names)
    # Where the examples' own folder is named too, the other is another.
    assert list(meant([f"{HERE}/0.png", "/a/x/train/1.png"])) == [f"{HERE}/0.png"]


@pytest.mark.parametrize(
    ("root", "before", "fits"),
    [
        ("/data/pics.zip", "pics/", True),
        ("/data/pics.tar.gz", "pics/", True),
        ("/data/pics.zip", "data/pics/", True),
        ("/data/pics.zip", "pics.zip/", True),
        ("/data/pics.zip", "data/", False),
        ("/data/pics.old", "pics/", False),
        ("/data/v1.0", "v1.0/", True),
        ("/data/v1.0", "v1/", False),
        ("/data/v1.0", "data/", False),
        ("C:\\data\\pics", "c:\\data\\pics\\", True),
        ("C:\\data\\pics", "C:/Data/Pics/", True),
        ("/data/pics", "Pics/", False),
    ],
)
def test_what_the_folder_of_the_examples_is_called(root, before, fits):
    names = [f"{before}{name}" for name in IDS]
    assert (list(meant(names, roots=[root]).values()) == IDS) is fits


def test_rows_of_a_file_are_in_its_folder():
    ids = [f"t.csv#row={i}" for i in range(3)]
    for before in ("", "data/", "/some/data/"):
        names = [f"{before}{name}" for name in ids]
        assert list(meant(names, ids, ["/some/data/t.csv"]).values()) == ids
    assert not meant([f"other/{name}" for name in ids], ids, ["/some/data/t.csv"])
    assert not meant([f"t.csv/{name}" for name in ids], ids, ["/some/data/t.csv"])


def test_where_nothing_is_known_one_folder_is_taken_and_told():
    ids = ["a/1.png", "b/2.png"]
    found = named_in(ids, ["x/a/1.png", "x/b/2.png"], [])
    assert (sum(map(len, found.which.values())), found.moved) == (2, "x")
    assert not meant(["x/a/1.png", "y/b/2.png"], ids, [])


def test_paths_from_the_folder_of_the_table():
    names = ["../train/0.png", "../test/1.png", "../../2.png"]
    assert meant(names, beside="/data/fold2/lists") == {"../train/0.png": "0.png"}
    assert meant(names) == {"../train/0.png": "0.png"}
    assert not meant(["../train/0.png"], beside="/data/fold1/lists")


def test_ends_of_ids_are_enough_where_only_one_has_them():
    ids = ["a/cats/1.png", "b/cats/1.png", "b/dogs/2.png", "3.png", "b/3.png"]
    names = ["a/cats/1.png", "cats/1.png", "2.png", "dogs/2.png", "gs/2.png", "3.png"]
    found = named_in(ids, names, ["/x"])
    assert [len(found.which[name]) for name in names] == [1, 2, 1, 1, 0, 1]
    assert found.which["3.png"] == ["3.png"]
    # It may be the folder of all of them, or one within.
    found = named_in(["0.png", "b/train/0.png"], ["train/0.png"], [HERE])
    assert len(found.which["train/0.png"]) == 2


def test_what_is_written_comes_first():
    whole, parted = "caf\u00e9.png", "cafe\u0301.png"
    assert meant([whole, parted], [whole, parted]) == {whole: whole, parted: parted}
    assert meant([whole], [parted]) == {whole: parted}
    assert meant(["a%20b.png", "c%20d.png"], ["a%20b.png", "a b.png", "c d.png"]) == {
        "a%20b.png": "a%20b.png",
        "c%20d.png": "c d.png",
    }
    assert meant(["a\\b.png", "a/b.png"], ["a\\b.png", "a/b.png"]) == {
        "a\\b.png": "a\\b.png",
        "a/b.png": "a/b.png",
    }
    assert not meant(["A.PNG"], ["a.png"])
    assert meant(["a.png"], [" a.png"]) == {"a.png": " a.png"}  # tables are read without spaces


def test_the_only_other_folder_is_named():
    found = named_in(["a/0.png", "b/1.png"], ["images/a/0.png", "images/b/1.png"], ["/data/pics"])
    assert not any(found.which.values())
    assert found.other == {"images": 2}
