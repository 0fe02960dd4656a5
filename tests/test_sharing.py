"""Processes that share a pass: how they find each other, and what they do when left alone."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from stepwell import sharing
from stepwell.interfaces import StepwellError
from stepwell.kit.files import lock, lock_of
from stepwell.sharing import Offer, help_with, place_of, share_of
from stepwell.sources import open_source


def test_every_example_is_in_one_share_and_shares_are_in_order(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "7")
    ids = [f"{i:03}" for i in range(100)]
    shares = [share_of(ids, number) for number in range(7)]
    assert [name for share in shares for name in share] == ids
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_another_start_meets_elsewhere(monkeypatch, tmp_path):
    first = place_of(tmp_path / "run")
    assert place_of(tmp_path / "run") == first != place_of(tmp_path / "other")
    monkeypatch.setenv("MASTER_PORT", "29501")
    assert place_of(tmp_path / "run") != first


def test_nobody_waits_for_a_first_process_that_has_ended(tmp_path):
    target, failed = tmp_path / "run", threading.Event()

    def wait():
        with pytest.raises(StepwellError, match="it has ended"):
            help_with(target, None)
        failed.set()

    with lock(lock_of(target), "a run"):
        waiting = threading.Thread(target=wait, daemon=True)
        waiting.start()
        assert not failed.wait(0.5)
    assert failed.wait(10)


def test_what_a_killed_start_has_left_fools_nobody(tmp_path, monkeypatch):
    """Its offer is not taken; its folder goes, and that of another run stays."""
    target = tmp_path / "exp"
    stale, other = place_of(target), place_of(tmp_path / "exp.v2")
    for place in (stale, other):
        (place / "offer").mkdir(parents=True)
        (place / "offer" / "told.json").write_text('{"ids": ["a"], "here": ["here-1-old"]}')
    monkeypatch.setenv("WORLD_SIZE", "2")
    offer = Offer(target, None, SimpleNamespace(skipped=[]), 0, set())
    assert not stale.exists()
    assert other.exists()

    def help():
        monkeypatch.setenv("RANK", "1")
        help_with(target, None)

    helping = threading.Thread(target=help, daemon=True)
    helping.start()
    assert offer.make([], 8) == []
    assert list(offer.gathered(None)) == []
    helping.join(10)
    assert not helping.is_alive()
    offer.close()
    assert not stale.exists()


def test_texts_can_be_told_to_others(tmp_path):
    (batch,) = open_source(["one", "zwei größer", ""]).batches(9)
    sharing._write(tmp_path / "batch.npz", batch)
    back = sharing._batch(tmp_path / "batch.npz")
    assert back.data["text"].tolist() == batch.data["text"].tolist()
    assert back.ids.tolist() == batch.ids.tolist()
