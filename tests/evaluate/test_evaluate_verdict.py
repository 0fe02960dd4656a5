"""The answer in a sentence, for what is judged by more than views."""

from __future__ import annotations

import pytest

from stepwell.evaluate.verdict import translating_verdict, writing_verdict


@pytest.mark.parametrize(
    ("ours", "tone", "said"),
    [
        (34.0, "good", "It translates: BLEU 34.0 on 1,014 pairs that were held out, against 1.6"),
        (2.5, "bad", "It does not translate yet"),
    ],
)
def test_translations_are_held_against_the_best_control(ours, tone, said):
    scores = {"the text itself": 0.5, "stepwell": ours, "shuffled pairs": 1.6}
    found = translating_verdict(scores, 1014)
    assert found["tone"] == tone
    assert found["sentence"].startswith(said)
    assert "of shuffled pairs" in found["sentence"]


@pytest.mark.parametrize(
    ("both", "weight", "tone", "said"),
    [
        (2.1, 0.5, "good", "It learned: 2.30 bits a sign of held-out texts by the transformer"),
        (2.2, 1.0, "mixed", "adds nothing to counting, which is used instead"),
    ],
)
def test_a_transformer_is_used_where_it_adds_to_counts(both, weight, tone, said):
    bits = {"n-gram": 2.2, "transformer": 2.3, "both": both, "gzip": 3.0}
    found = writing_verdict(bits, weight)
    assert found["tone"] == tone
    assert said in found["sentence"]
