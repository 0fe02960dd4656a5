"""Rows of JSON files: an object a line, or a list of objects."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stepwell.interfaces import StepwellError
from stepwell.kit.lines import Writing, lines_of, reading, whole

_ROW = 16_000_000
"""Characters of an object at most."""
_BLOCK = 2**16
_BETWEEN = re.compile(r"[\s,]*")
"""What parts objects of a list."""


def json_rows(
    path: str | Path, encoding: str | None = None
) -> Iterator[tuple[int, dict[Any, Any], str]]:
    """(number, object, what is wrong with it) of each row.

    Raises
    ------
    StepwellError
        If a list of objects is cut short.
    """
    first = next((line for line, _ in lines_of(path, encoding) if line.strip()), "")
    if _whole_list(first):
        yield from _of_list(path, encoding)
        return
    for number, (line, problem) in enumerate(lines_of(path, encoding)):
        if line.strip() or problem:
            row, why = ({}, problem) if problem else parsed(line)
            yield number, row, why


def _whole_list(first: str) -> bool:
    """Whether a file is one list, not rows that are lists."""
    start = first.strip()
    return start.startswith("[") and start[1:].lstrip()[:1] in ("", "{")


def parsed(line: str) -> tuple[dict[Any, Any], str]:
    """An object, and why there is none."""
    try:
        row = json.loads(line)
    except RecursionError:
        return {}, "JSON that is nested too deep"
    except ValueError:
        return {}, "no JSON"
    return (row, "") if isinstance(row, dict) else ({}, "no JSON object")


def _of_list(path: str | Path, encoding: str | None) -> Iterator[tuple[int, dict[Any, Any], str]]:
    """Objects of a list one after the other, without holding all of them."""
    how, decoder = Writing.of(path, encoding), json.JSONDecoder()
    held, at, number, begun = "", 0, 0, False
    with reading(path) as raw, whole(path):
        raw.read(how.mark)
        text = io.TextIOWrapper(raw, how.encoding, errors="replace")
        # An object that is not whole yet is tried again with twice as much.
        while chunk := text.read(max(_BLOCK, len(held) - at)):
            held, at = held[at:] + chunk, 0
            while (at := _BETWEEN.match(held, at).end()) < len(held):  # type: ignore[union-attr]
                if not begun:
                    begun, at = True, at + 1  # the bracket that it begins with
                    continue
                if held[at] == "]":
                    return
                try:
                    row, at = decoder.raw_decode(held, at)
                except RecursionError:
                    raise _damaged(path, number, "it is nested too deep") from None
                except ValueError as error:
                    if len(held) - at > _ROW:
                        raise _damaged(path, number, str(error)) from None
                    break
                yield number, row if isinstance(row, dict) else {}, _why(row)
                number += 1
    raise _damaged(path, number, "it ends before the list does")


def _why(row: Any) -> str:
    return "" if isinstance(row, dict) else "no JSON object"


def _damaged(path: str | Path, number: int, why: str) -> StepwellError:
    return StepwellError(
        f"Expected a list of JSON objects in {path}, found one that can't be read after "
        f"{number:,} of them ({why}): write it again, best an object a line (.jsonl)."
    )
