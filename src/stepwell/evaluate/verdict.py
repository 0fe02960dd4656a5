"""The answer in one sentence: did it learn, and is it better than doing nothing?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from stepwell.evaluate.intervals import paired_difference

LEAST_BLEU = 1.0
"""More than the best control, where something was learned."""
SATURATED = 99.0
"""Per cent that two tests at their end both reach: they tell nothing of a difference then."""
MANY = 1.46
"""Times as wide as 95 % is an interval of one of twelve differences: the best of six others is
looked for on the test set, with two numbers of labels (Bonferroni)."""
Row = Mapping[str, Any]
Gap = Mapping[str, float]


def best_of(rows: Sequence[Row]) -> tuple[Row, Row]:
    """Ours, and the strongest of **all** others: who learned less from the same features too."""
    ours = next(row for row in rows if row["role"] == "ours")
    return ours, max((row for row in rows if row["role"] != "ours"), key=lambda row: row["value"])


def saturated(ours: Row, rival: Row) -> bool:
    """Whether both are at the end of what a test can tell."""
    return bool(min(ours["value"], rival["value"]) >= SATURATED)


def unlabelled_verdict(
    rows: Sequence[Row],
    hits: Mapping[str, NDArray],
    above: int,
    modes: int,
    noise: float | None = None,
    test: str = "",
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
    test : str
        How the test was made harder, where it had to be.
    """
    ours, rival = best_of(rows)
    gap = paired_difference(hits[ours["name"]], hits[rival["name"]])
    details = [
        f"{above} of {modes} dimensions are more alike within pairs than shuffled pairs are.",
        "This is measured without labels: it shows what was learned, not what it is good for. "
        "`stepwell evaluate` with a few labels answers that.",
    ]
    figures = f"{ours['value']:.1f} % of views find their own example{test}"
    theirs = f"{rival['value']:.1f} % with {rival['name']}"
    if above == 0:
        tone, said = "bad", "It learned nothing: no dimension stands out from shuffled pairs."
    elif noise is not None:
        tone = "bad"
        said = (
            f"The examples look like noise: their variance is spread over {noise:.0%} of all "
            f"dimensions, so that there is next to nothing they share. {figures}, but that tells "
            f"only that no two are alike."
        )
    elif saturated(ours, rival):
        tone = "mixed"
        said = (
            f"It learned, but views are too easy to find here to tell what that is worth: "
            f"{figures}, and {theirs}. A few labels tell more."
        )
    elif gap.low > 0:
        tone, said = "good", f"It learned: {figures}, against {theirs}, the best of the others."
    elif gap.high < 0:
        tone, said = "bad", f"{_capital(rival['name'])} does better: {figures}, against {theirs}."
    else:
        tone = "mixed"
        said = f"It learned, but {rival['name']} finds as many: {figures}, against {theirs}."
    return {"tone": tone, "sentence": said, "details": details}


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]


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
    rows: Sequence[Row],
    gaps: Mapping[Any, Mapping[str, Gap]],
    head: Sequence[Row] = (),
) -> dict[str, Any]:
    """From kNN with all labels and with few, by paired differences to the best of all others.

    Parameters
    ----------
    rows : accuracies, with ``name``, ``role``, ``reader``, ``labels``, ``value``
    gaps : differences by name, by the number of labels a class (``"all"`` among them)
    head : accuracies of the head that `finetune` would fit, with ``labels`` and ``value``
    """
    judged = [_judged(rows, labels, gaps[labels]) for labels in gaps]
    found = {each["state"] for each in judged}
    rivals = list(dict.fromkeys(each["rival"]["name"] for each in judged))
    of = {s: " and ".join(e["with"] for e in judged if e["state"] == s) for s in found}
    if "worse" in found and "better" in found:
        tone = "mixed"
        said = f"Better than all others {of['better']}, worse than the best {of['worse']}"
    elif "worse" in found:
        tone, said = "bad", f"Use {' or '.join(_worse(judged))} instead"
    elif "better" in found:
        unsure = f" {of['better']}, not surely {of['same']}" if "same" in found else ""
        tone, said = "good", f"It learned, and is better than all others{unsure}"
    elif found == {"saturated"}:
        tone, said = "mixed", "This test is too easy to tell a difference"
    else:
        tone, said = "mixed", f"It learned, but not surely more than {' or '.join(rivals)}"
    figures = ", ".join(_figures(each) for each in judged)
    said = f"{said}: kNN {figures}"
    if head:
        fitted = ", ".join(f"{each['value']:.1f} % {_with(each['labels'])}" for each in head)
        said += f". The head that `stepwell finetune` fits: {fitted}"
    details = [
        f"Difference to {each['rival']['name']} {each['with']}: {_interval(each['gap'])}."
        for each in judged
    ]
    final = [row for row in rows if row["reader"] == "knn" and row["labels"] == "all"]
    for row in final:
        if row["role"] == "ladder" and row["name"] != judged[0]["rival"]["name"]:
            what = LADDER.get(row["name"], "what the pairs add")
            gap = gaps["all"][row["name"]]
            details.append(f"Difference to {row['name']}, {what}: {_interval(gap)}.")
    return {"tone": tone, "sentence": f"{said}.", "details": details}


def _judged(rows: Sequence[Row], labels: Any, gaps: Mapping[str, Gap]) -> dict[str, Any]:
    """Ours beside the best of the others, with so many labels."""
    ours, rival = best_of([r for r in rows if r["reader"] == "knn" and r["labels"] == labels])
    gap = gaps[rival["name"]]
    surely_worse = gap["value"] + MANY * (gap["high"] - gap["value"]) < 0
    state = "better" if gap["low"] > 0 else "worse" if surely_worse else "same"
    state = "saturated" if saturated(ours, rival) else state
    return {"ours": ours, "rival": rival, "gap": gap, "state": state, "with": _with(labels)}


def _with(labels: Any) -> str:
    return "with all labels" if labels == "all" else f"with {labels} labels a class"


def _figures(judged: Mapping[str, Any]) -> str:
    ours, rival = judged["ours"], judged["rival"]
    return f"{ours['value']:.1f} % {judged['with']} ({rival['name']} {rival['value']:.1f})"


def _worse(judged: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(e["rival"]["name"] for e in judged if e["state"] == "worse"))


def _interval(gap: Gap) -> str:
    value, low, high = (round(gap[name], 1) + 0.0 for name in ("value", "low", "high"))
    return f"{value:+.1f} points, 95 % interval {low:+.1f} to {high:+.1f}"
