"""The beam finds the likeliest answers, whatever it answers to at the same time."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from stepwell.apply.translate import answers
from stepwell.encoders.transformer.modules import Shape, Transformer
from stepwell.kit.texts import BEGIN, END, PAD, SPECIAL

KINDS, LONGEST = 3, 4


@pytest.fixture(scope="module", params=range(3))
def module(request):
    torch.manual_seed(request.param)
    net = Transformer(Shape(tokens=SPECIAL + KINDS, width=16, layers=1, heads=2, answers=1)).eval()
    with torch.no_grad():  # else it would mostly repeat what came before
        net.embedding.weight.mul_(0.3)
    return net


TEXTS = torch.tensor([[4, 5, 6, END, PAD], [6, 6, 5, 4, END], [5, END, PAD, PAD, PAD]])


def surprise(module, text, answer):
    """Nats of an answer and its end, END and text tokens being all that can be written."""
    framed = torch.tensor([[BEGIN, *answer, END]])
    with torch.inference_mode():
        scores = module.scores(module.answering(text[None], framed[:, :-1]))[0].log_softmax(-1)
    return -float(scores[torch.arange(len(answer) + 1), framed[0, 1:]].sum())


@pytest.mark.parametrize("length", [0.0, 1.0])
def test_a_wide_beam_finds_the_likeliest_of_all(module, length):
    with torch.inference_mode():
        found = answers(module, TEXTS, beam=KINDS**LONGEST, length=length, longest=LONGEST)
    every = [list(t) for n in range(LONGEST) for t in product(range(4, 4 + KINDS), repeat=n)]
    for text, answer in zip(TEXTS, found, strict=True):
        best = min(every, key=lambda a: surprise(module, text, a) / (len(a) + 1) ** length)
        assert answer == best


def test_a_beam_of_one_takes_the_likeliest_token(module):
    with torch.inference_mode():
        found = answers(module, TEXTS, beam=1, longest=6)
        for text, answer in zip(TEXTS, found, strict=True):
            written = [BEGIN]
            for _ in range(6):
                said = module.scores(module.answering(text[None], torch.tensor([written])))[0, -1]
                said[:END] = said[END + 1 : SPECIAL] = -np.inf
                written.append(int(said.argmax()))
                if written[-1] == END:
                    break
            assert answer == [t for t in written[1:] if t != END]


def test_what_else_is_asked_changes_no_answer(module):
    with torch.inference_mode():
        together = answers(module, TEXTS, beam=3, longest=6)
        alone = [answers(module, text[None], beam=3, longest=6)[0] for text in TEXTS]
    assert together == alone
