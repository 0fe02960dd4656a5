"""Translation: texts through a run that was learned from pairs, and the dictionary beside it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from stepwell.apply.translate import BEAM, LENGTH, answers
from stepwell.encoders import TransformerEncoder
from stepwell.encoders.transformer.tokens import cut, filled
from stepwell.encoders.words.encoder import spans_of, words_of
from stepwell.engines import Dictionary, PairCounts
from stepwell.evaluate.verdict import translating_verdict
from stepwell.interfaces import Source, StepwellError, UsageError, concatenate
from stepwell.kit.hashing import drawn
from stepwell.kit.parts import save_part
from stepwell.kit.texts import END
from stepwell.kit.torch import judging
from stepwell.pretexts.tokens import Parallel
from stepwell.run import Run

BATCH = 64
"""Texts that are translated at once."""
JUDGED = 200
"""Pairs that are held out to score, at most; a tenth of fewer than ten times as many."""
SHOWN = 6
"""Translations that a page shows."""
AHEAD = 32
"""Batches that are read at once, and sorted by length."""


def write_pairs(folder: Path, source: Source, ids: Collection[str] | None) -> None:
    """Count words of pairs of texts into a run's part."""
    parts: list[PairCounts] = []
    for batch in source.batches(AHEAD * BATCH, ids=ids):
        sides = [[words_of(str(t)) for t in batch.data[name]] for name in ("text", "target")]
        parts.append(PairCounts())
        parts[-1].add(*sides)
        # Only those of about one size are added up: else each batch would cost all before it.
        while len(parts) > 1 and parts[-2].texts <= parts[-1].texts:
            parts[-2:] = [parts[-2] + parts[-1]]
    counts = sum(parts[1:], parts[0])
    save_part(folder / "parts" / PairCounts.name, counts, PairCounts.name)


def held_out(entries: Sequence[tuple[str, str]], seed: int) -> set[str]:
    """Ids of pairs that translations are scored on."""
    names = [name for name, _ in entries]
    return {names[row] for row in drawn(seed, names, min(JUDGED, len(names) // 10))}


def judged(source: Source, held: Collection[str], encoder: Any, twin: Any) -> dict[str, Any]:
    """Translations of held-out pairs, scored; nothing where sacrebleu is not installed.

    Returns
    -------
    dict
        ``translation``: BLEU, of the network, of its twin that was trained on shuffled pairs, and
        of the text itself; ``pairs``: how many these were; ``answers``: the first of them.
    """
    parts = list(source.batches(JUDGED, ids=held))
    if not parts or find_spec("sacrebleu") is None:
        return {}
    batch = concatenate(parts)
    asked, wanted = ([str(t) for t in batch.data[name]] for name in ("text", "target"))
    sides = {"stepwell": encoder} | ({"shuffled pairs": twin} if twin is not None else {})
    found = {
        name: list(_translated(side, PairCounts(), iter(asked), BEAM, LENGTH, BATCH))
        for name, side in sides.items()
    }
    found["the text itself"] = asked
    scores = {name: float(scored(lines, wanted)["BLEU"]) for name, lines in found.items()}
    verdict = translating_verdict(scores, len(asked))
    rows = zip(asked[:SHOWN], found["stepwell"], wanted, strict=False)
    shown = [{"asked": text, "answer": own, "wanted": other} for text, own, other in rows]
    return {"translation": scores, "pairs": len(asked), "verdict": verdict, "answers": shown}


def translate(
    run: Run, texts: Iterable[str], *, beam: int = BEAM, length: float = LENGTH, batch: int = BATCH
) -> Iterator[str]:
    """Texts in the other language of a run, in their order; of an empty one an empty one.

    Words that the run has never seen are copied as they are.

    Parameters
    ----------
    run : Run
        Learned with the pretext ``parallel``.
    texts : iterable of str
        A sentence each; of longer ones each 127 pieces of words are translated alone.
    beam, length : see :func:`~stepwell.apply.translate.answers`
    batch : int
        Texts at once.

    Raises
    ------
    UsageError
        If the run does not translate, or options make no sense.
    """
    encoder, taught = run.encoder, run.config.get("train", {}).get("pretext")
    if not isinstance(encoder, TransformerEncoder) or taught != Parallel.name:
        raise UsageError(
            f"Expected a run that was trained on pairs of texts, found {run.path}: `stepwell learn "
            f"SOURCE --target TARGET --pretext parallel` makes one. Sentences can not be "
            f"translated without such pairs."
        )
    if beam < 1 or batch < 1 or length < 0:
        raise UsageError(
            f"Expected a beam and batches of 1 or more, and a length of 0 or more; found {beam}, "
            f"{batch} and {length}."
        )
    return _translated(encoder, run.part(PairCounts.name), iter(texts), beam, length, batch)


def _translated(
    encoder: TransformerEncoder,
    counts: PairCounts,
    texts: Iterator[str],
    beam: int,
    length: float,
    batch: int,
) -> Iterator[str]:
    longest = encoder.places() - 1
    while some := [text.strip() for text in islice(texts, AHEAD * batch)]:
        pieces, owner = cut(encoder.tokens.encode(some), longest)
        sizes = np.array([len(piece) for piece in pieces])
        found = [""] * len(pieces)
        order = np.argsort(sizes, kind="stable")
        order = order[sizes[order] > 0]  # of nothing nothing is asked
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            asked = [np.append(pieces[row], np.uint16(END)) for row in rows]
            told = _answers(encoder, asked, beam, length)
            for row, answer in zip(rows, told, strict=True):
                found[row] = answer
        whole = [list[str]() for _ in some]
        for number, answer in zip(owner, found, strict=True):
            whole[number].append(answer)
        for text, parts in zip(some, whole, strict=True):
            yield copied(text, " ".join(parts), counts.words)


def _answers(
    encoder: TransformerEncoder, pieces: Sequence[np.ndarray], beam: int, length: float
) -> list[str]:
    with judging(encoder.module):
        asked = encoder.placed(filled(pieces))
        told = answers(encoder.module, asked, beam=beam, length=length, longest=encoder.places())
    return [encoder.tokens.decode(answer).strip() for answer in told]


def copied(text: str, answer: str, known: Sequence[Collection[str]]) -> str:
    """An answer whose words that nobody knows are those of the text, where there are as many: a
    transformer spells names of its own."""
    unknown, strange = (
        [m for m in spans_of(side) if m.group().isalnum() and m.group().lower() not in words]
        for side, words in zip((text, answer), known, strict=True)
    )
    if len(unknown) != len(strange) or not any(known):
        return answer
    parts, end = [], 0
    for word, place in zip(unknown, strange, strict=True):
        parts += [answer[end : place.start()], word.group()]
        end = place.end()
    return "".join([*parts, answer[end:]])


def dictionary_of(run: Run) -> Dictionary:
    """Which words of a run's pairs mean which.

    Raises
    ------
    UsageError
        If it was not learned from pairs.
    """
    if not run.has(PairCounts.name):
        raise UsageError(f"Expected a run that was learned from pairs of texts, found {run.path}.")
    found: Dictionary = run.part(PairCounts.name).solved()
    return found


def aligned(dictionary: Dictionary, text: str, translation: str) -> list[tuple[str, str]]:
    """Words of a text and of its translation that belong together."""
    sides = [[m.group() for m in spans_of(side)] for side in (text, translation)]
    low = [[word.lower() for word in side] for side in sides]
    return [(sides[0][i], sides[1][j]) for i, j in dictionary.aligned(*low)]


def check_reference(texts: Sequence[str], reference: Sequence[str]) -> None:
    """Raise UsageError if there are not as many of both."""
    if len(texts) != len(reference):
        raise UsageError(
            f"Expected a reference for each of {len(texts):,} lines, found {len(reference):,}."
        )


def scored(found: Sequence[str], reference: Sequence[str]) -> dict[str, float | str]:
    """BLEU and chrF of translations (Post, WMT 2018), with the signature they are computed by.

    Raises
    ------
    UsageError
        If there are not as many references.
    StepwellError
        If sacrebleu is not installed.
    """
    try:
        import sacrebleu
    except ImportError:
        raise StepwellError(
            "Expected sacrebleu to score translations, found none: pip install 'stepwell[text]'."
        ) from None
    check_reference(found, reference)
    bleu, chrf = sacrebleu.BLEU(), sacrebleu.CHRF()
    scores = {
        "BLEU": round(bleu.corpus_score(found, [reference]).score, 2),
        "chrF": round(chrf.corpus_score(found, [reference]).score, 2),
    }
    return scores | {"signature": str(bleu.get_signature())}
