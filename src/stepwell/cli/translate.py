"""``stepwell translate``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from stepwell.cli.console import check_free, emit, json_option, say
from stepwell.interfaces import UsageError


@click.command("translate")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("texts", nargs=-1)
@click.option("--file", "path", help="Each line of a file (also .gz); - reads what is piped.")
@click.option("--out", type=click.Path(path_type=Path), help="Where the lines go; default: here.")
@click.option("--overwrite", is_flag=True, help="Replace a file that is there already.")
@click.option("--reference", help="With --file: its translation, to score by BLEU and chrF.")
@click.option("--align", is_flag=True, help="Which words belong together, by the dictionary.")
@click.option("--dictionary", is_flag=True, help="Of TEXTS, words, what they mean.")
@click.option("--beam", default=5, show_default=True, help="1: always the likeliest piece.")
@click.option("--length", default=1.0, show_default=True, help="Below 1: shorter; above: longer.")
@click.option("--batch", default=64, show_default=True, help="Texts at once.")
@json_option
def command(
    run: Path,
    texts: tuple[str, ...],
    path: str | None,
    out: Path | None,
    overwrite: bool,
    reference: str | None,
    align: bool,
    dictionary: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Translate TEXTS, one each, by RUN."""
    from stepwell.kit.files import write_atomic
    from stepwell.run import load
    from stepwell.translating import aligned, check_reference, dictionary_of, scored, translate

    if bool(texts) == (path is not None):
        raise click.UsageError(
            f"Expected {'words' if dictionary else 'texts'} or --file, one of the two."
        )
    if reference is not None and path in (None, "-"):
        raise click.UsageError("Expected a --file that the reference is the translation of.")
    if align and not as_json and (out is not None or reference is not None):
        raise click.UsageError("Expected --align with translations that are shown, or --json.")
    check_free(out, overwrite)
    learned, asked = load(run), list(texts) if path is None else list(_lines(path))
    if dictionary:
        return _meanings(dictionary_of(learned), asked, as_json)
    wanted = None if reference is None else list(_lines(reference))
    if wanted is not None:
        check_reference(asked, wanted)  # before minutes of translating
    found = list(translate(learned, asked, **options))
    scores = None if wanted is None else scored(found, wanted)
    words = dictionary_of(learned) if align else None
    both = [aligned(words, *each) for each in zip(asked, found, strict=True)] if words else []
    if out is not None:
        write_atomic(out, "".join(f"{line}\n" for line in found))
    if as_json:
        more = ({"scores": scores} if scores else {}) | ({"aligned": both} if align else {})
        return emit({"translations": found} | more)
    for number, line in enumerate(found if out is None and scores is None else ()):
        say(line)
        if align and both[number]:
            say("    " + " · ".join(f"{one} – {other}" for one, other in both[number]))
    if out is not None:
        say(f"{len(found):,} translations in {out}")
    for name, value in (scores or {}).items():
        say(f"{name:>9}  {value}")
    return None


def _meanings(dictionary: Any, words: Sequence[str], as_json: bool) -> None:
    found = {word: dictionary.of(word.lower()) for word in words}
    if as_json:
        return emit(found)
    for word, meanings in found.items():
        told = " · ".join(f"{other} {weight:.2f}" for other, weight in meanings)
        say(f"{word}  {told or ('not known' if word.split() == [word] else 'no single word')}")
    return None


def _lines(path: str) -> Iterator[str]:
    """Of a file, or of what is piped.

    Raises
    ------
    UsageError
        If there is no such file, or a line of it is no UTF-8.
    """
    from stepwell.sources.textfiles import lines_of

    if path == "-":
        yield from (line.rstrip("\n") for line in sys.stdin)
        return
    if not Path(path).is_file():
        raise UsageError(f"Expected a file of lines, found nothing at {path}.")
    for number, (line, problem) in enumerate(lines_of(path), start=1):
        if problem:
            raise UsageError(f"Expected UTF-8 in line {number} of {path}, found {problem}.")
        yield line.strip()
