"""The answer in one sentence: did it learn, and is it better than doing nothing?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from stepwell.evaluate.intervals import paired_difference


def _best(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The strongest control."""
    return max(rows, key=lambda r: r["value"])


def unlabelled_verdict(
    rows: Sequence[Mapping[str, Any]], hits: Mapping[str, NDArray], above: int, modes: int
) -> dict[str, Any]:
    """From view retrieval and the spectrum.

    Parameters
    ----------
    rows : retrieval by contestant, with ``name``, ``role``, ``value``
    hits : (n,) bool by name
    above, modes : int
        Modes above the noise level, and modes in all.
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


def labelled_verdict(
    rows: Sequence[Mapping[str, Any]], gaps: Mapping[str, Mapping[str, float]]
) -> dict[str, Any]:
    """From kNN with all labels, by the paired difference to the strongest control."""
    final = [r for r in rows if r["reader"] == "knn" and r["labels"] == "all"]
    ours = next(r for r in final if r["role"] == "ours")
    rival = _best([r for r in final if r["role"] == "control"])
    gap = gaps[rival["name"]]
    figures = f"kNN {ours['value']:.1f} % against {rival['value']:.1f} % with {rival['name']}"
    interval = f"{gap['value']:+.1f} points, 95 % interval {gap['low']:+.1f} to {gap['high']:+.1f}"
    if gap["low"] > 0:
        tone, said = "good", f"It learned, and is better than every control: {figures}."
    elif gap["high"] < 0:
        tone, said = "bad", f"Use {rival['name']} instead: {figures}."
    else:
        tone, said = "mixed", f"It learned, but no more than {rival['name']}: {figures}."
    details = [f"Difference: {interval}.", *_what_pairs_add(rows)]
    return {"tone": tone, "sentence": said, "details": details}


def _what_pairs_add(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Against the same features whitened, without pairs: with all labels, and with ten."""
    said = []
    for labels, words in (("all", "all labels"), (10, "10 labels a class")):
        found = {r["role"]: r for r in rows if r["reader"] == "knn" and r["labels"] == labels}
        if "ours" in found and "ladder" in found:
            gap = found["ours"]["value"] - found["ladder"]["value"]
            said.append(f"{gap:+.1f} points with {words}")
    return [f"The pairs add to whitening the same features: {', '.join(said)}."] if said else []
