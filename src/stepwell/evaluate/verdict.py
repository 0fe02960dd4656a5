"""The answer in one sentence: did it learn, and is it better than doing nothing?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from stepwell.evaluate.intervals import paired_difference

LEAST_BLEU = 1.0
"""More than the best control, where something was learned."""


def _best(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The strongest control."""
    return max(rows, key=lambda r: r["value"])


def unlabelled_verdict(
    rows: Sequence[Mapping[str, Any]],
    hits: Mapping[str, NDArray],
    above: int,
    modes: int,
    noise: float | None = None,
) -> dict[str, Any]:
    """From view retrieval and the spectrum.

    Parameters
    ----------
    rows : retrieval by contestant, with ``name``, ``role``, ``value``
    hits : (n,) bool by name
    above, modes : int
        Modes above the noise level, and modes in all.
    noise : float, optional
        Share of all dimensions that features are spread over, where it is that of noise.
    """
    ours = next(r for r in rows if r["role"] == "ours")
    rival = _best([r for r in rows if r["role"] == "control"])
    gap = paired_difference(hits[ours["name"]], hits[rival["name"]])
    details = [
        f"{above} of {modes} dimensions are more alike within pairs than shuffled pairs are.",
        "This is measured without labels: it shows what was learned, not what it is good for. "
        "`stepwell evaluate` with a few labels answers that.",
    ]
    figures = f"{ours['value']:.1f} % of views find their own example"
    if above == 0:
        tone, said = "bad", "It learned nothing: no dimension stands out from shuffled pairs."
    elif noise is not None:
        tone = "bad"
        said = (
            f"The examples look like noise: their variance is spread over {noise:.0%} of all "
            f"dimensions, so that there is next to nothing they share. {figures}, but that tells "
            f"only that no two are alike."
        )
    elif gap.low > 0:
        tone = "good"
        said = f"It learned: {figures}, against {rival['value']:.1f} % with {rival['name']}."
    elif gap.high < 0:
        tone = "bad"
        said = (
            f"It is worse than doing nothing here: {figures}, against {rival['value']:.1f} % "
            f"with {rival['name']}."
        )
    else:
        tone = "mixed"
        said = (
            f"It learned, but views are as easy for {rival['name']}: {figures}, against "
            f"{rival['value']:.1f} %."
        )
    return {"tone": tone, "sentence": said, "details": details}


def translating_verdict(scores: Mapping[str, float], pairs: int) -> dict[str, Any]:
    """From BLEU by contestant, ``stepwell`` among them, on so many pairs that were held out."""
    ours = scores["stepwell"]
    rival = max((name for name in scores if name != "stepwell"), key=lambda name: scores[name])
    figures = (
        f"BLEU {ours:.1f} on {pairs:,} pairs that were held out, against {scores[rival]:.1f} of "
        f"{rival}"
    )
    if ours < scores[rival] + LEAST_BLEU:
        return _said("bad", f"It does not translate yet: {figures}. More pairs or time help.")
    return _said("good", f"It translates: {figures}.")


def writing_verdict(bits: Mapping[str, float], weight: float) -> dict[str, Any]:
    """From bits a sign of held-out texts by counts, by a transformer and by both, the counts
    weighing so much."""
    counts, network, both = (bits[name] for name in ("n-gram", "transformer", "both"))
    figures = f"{network:.2f} bits a sign of held-out texts by the transformer, {counts:.2f} by"
    if weight == 1.0:
        adds = "hardly anything" if both < counts else "nothing"
        said = f"The transformer adds {adds} to counting, which is used instead: {figures} counts."
        return _said("mixed", said)
    return _said("good", f"It learned: {figures} counts, {both:.2f} by both, which are used.")


def _said(tone: str, sentence: str) -> dict[str, Any]:
    return {"tone": tone, "sentence": sentence, "details": []}


LADDER = {"features alone": "what the closed form adds to them"}
"""What else than pairs a difference to a step of the ladder shows."""


def labelled_verdict(
    rows: Sequence[Mapping[str, Any]], gaps: Mapping[str, Mapping[str, float]]
) -> dict[str, Any]:
    """From kNN with all labels, by paired differences: to the strongest control that learned
    nothing, then to the same features whitened, which know no pairs."""
    final = [r for r in rows if r["reader"] == "knn" and r["labels"] == "all"]
    ours = next(r for r in final if r["role"] == "ours")
    rival = _best([r for r in final if r["role"] == "control"])
    gap = gaps[rival["name"]]
    figures = f"kNN {ours['value']:.1f} % against {rival['value']:.1f} % with {rival['name']}"
    if gap["low"] > 0:
        tone, said = "good", f"It learned, and is better than every control: {figures}"
    elif gap["high"] < 0:
        tone, said = "bad", f"Use {rival['name']} instead: {figures}"
    else:
        tone = "mixed"
        said = f"It learned, but not surely more than {rival['name']} did: {figures}"
    details = [f"Difference to {rival['name']}: {_interval(gap)}."]
    for row in final:
        if row["role"] == "ladder":
            found, what = gaps[row["name"]], LADDER.get(row["name"], "what the pairs add")
            if tone == "good" and found["low"] <= 0 and row["name"] not in LADDER:
                said += f"; its pairs add nothing sure to whitening ({found['value']:+.1f})"
                tone = "mixed" if found["high"] < 0 else tone
            ten = _with_ten(rows, row["name"])
            details.append(f"Difference to {row['name']}, {what}: {_interval(found)}{ten}.")
    return {"tone": tone, "sentence": f"{said}.", "details": details}


def _interval(gap: Mapping[str, float]) -> str:
    return f"{gap['value']:+.1f} points, 95 % interval {gap['low']:+.1f} to {gap['high']:+.1f}"


def _with_ten(rows: Sequence[Mapping[str, Any]], name: str) -> str:
    """The same difference with ten labels a class, where there were as many."""
    some = [r for r in rows if r["reader"] == "knn" and r["labels"] == 10]
    ours = next((r["value"] for r in some if r["role"] == "ours"), None)
    theirs = next((r["value"] for r in some if r["name"] == name), None)
    if ours is None or theirs is None:
        return ""
    return f"; {ours - theirs:+.1f} with 10 labels a class"
