"""What a part of a run may hold: names, types, shapes that fit each other, ranges, finite numbers.

A part may come from somebody else, and what is made of it computes with it as it is, some of it in
C. So each class of part says what it writes (``schema``), and all of it is checked in the one place
where parts are read, :func:`stepwell.kit.parts.load_part`, before anything is made of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

Rule = Callable[[Any], None]
"""Raises ValueError, with what was found, for a setting that can't be right."""

MOST = 10_000_000
"""Of rows, columns, words and the like: more than any part has."""


class Table(NamedTuple):
    """What an array may be.

    Attributes
    ----------
    kind : str
        Kinds of numpy's types that are right: ``"f"``, ``"iu"`` …
    shape : tuple of str or int
        Lengths; names stand for lengths that are the same wherever they are named.
    low, high : float
        Range of its numbers.
    size : int, optional
        Bytes of a number.
    optional : bool
        Whether it may be missing.
    """

    kind: str
    shape: tuple[str | int, ...]
    low: float = -math.inf
    high: float = math.inf
    size: int | None = None
    optional: bool = False


@dataclass(frozen=True)
class Schema:
    """Of a part.

    Attributes
    ----------
    settings : mapping of name to Rule
        Of those that have to be there; others are left alone.
    arrays : mapping of name to Table
    sizes : mapping of name to int
        Lengths that are known from the settings.
    others : bool
        Whether there may be arrays of other names.
    also : callable, optional
        ``also(settings, arrays)``: raises ValueError for what fits no rule.
    """

    settings: Mapping[str, Rule] = field(default_factory=dict)
    arrays: Mapping[str, Table] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    others: bool = False
    also: Callable[[Mapping[str, Any], Mapping[str, Any]], None] | None = None


def whole(low: int = 0, high: int = MOST) -> Rule:
    """A whole number within a range."""

    def check(value: Any) -> None:
        if type(value) is not int or not low <= value <= high:
            raise ValueError(f"{_short(value)}, not a whole number of {low} to {high}")

    return check


def number(low: float = -1e30, high: float = 1e30) -> Rule:
    """A finite number within a range."""

    def check(value: Any) -> None:
        if type(value) not in (int, float) or not low <= value <= high:
            raise ValueError(f"{_short(value)}, not a number of {low:g} to {high:g}")

    return check


def yes_no(value: Any) -> None:
    """True or False."""
    if not isinstance(value, bool):
        raise ValueError(f"{_short(value)}, neither true nor false")


def word(*known: str) -> Rule:
    """A text, one of some."""

    def check(value: Any) -> None:
        if not isinstance(value, str) or (known and value not in known):
            raise ValueError(f"{_short(value)}{', none of ' + ', '.join(known) if known else ''}")

    return check


def several(rule: Rule, most: int = MOST, least: int = 0) -> Rule:
    """A list, each of it by a rule."""

    def check(value: Any) -> None:
        if not isinstance(value, (list, tuple)) or not least <= len(value) <= most:
            raise ValueError(f"{_short(value)}, not a list of {least} to {most}")
        for each in value:
            rule(each)

    return check


def entries(needed: Mapping[str, Rule], known: Mapping[str, Rule] | None = None) -> Rule:
    """Values by name: those that have to be there, and those that may; others are left alone."""

    def check(value: Any) -> None:
        if not isinstance(value, dict):
            raise ValueError(f"{_short(value)}, not values by name")
        for name, rule in {**(known or {}), **needed}.items():
            if name not in value:
                if name in needed:
                    raise ValueError(f"{_short(value)}, without {name}")
                continue
            try:
                rule(value[name])
            except ValueError as error:
                raise ValueError(f"{name} = {error}") from None

    return check


def either(*rules: Rule) -> Rule:
    """What one of some rules allows."""

    def check(value: Any) -> None:
        for rule in rules[:-1]:
            try:
                return rule(value)
            except ValueError:
                continue
        return rules[-1](value)

    return check


def nothing(value: Any) -> None:
    """None, as JSON has it for what is not known."""
    if value is not None:
        raise ValueError(_short(value))


def words_in(array: Any) -> list[str]:
    """Words as parts write them, UTF-8, one a line; each once.

    Raises
    ------
    ValueError
    """
    text = np.asarray(array).tobytes().decode("utf-8", "surrogatepass")
    found = text.split("\n") if text else []
    if len(set(found)) != len(found):
        raise ValueError("words that come twice")
    return found


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 80 else f"{text[:80]}…"


def check_part(kind: type, settings: Any, arrays: Mapping[str, Any]) -> None:
    """Raise ValueError for a part that its class could not have written.

    A class without a ``schema``, such as a plug-in's, is only checked for what is true of all:
    settings by name, and arrays of finite numbers.
    """
    if not isinstance(settings, dict):
        raise ValueError(f"settings are {_short(settings)}")
    for name, array in arrays.items():
        _check_numbers(name, array)
    made = getattr(kind, "schema", None)
    if made is None:
        return
    schema: Schema = made(settings) if callable(made) else made
    entries(schema.settings)(settings)
    _check_arrays(schema, arrays)
    if schema.also is not None:
        schema.also(settings, arrays)


def _check_numbers(name: str, array: Any) -> None:
    if array.dtype.kind not in "fiub":
        raise ValueError(f"array {name[:80]!r} holds {array.dtype}")
    if array.dtype.kind == "f" and array.size:
        low, high = array.min(), array.max()  # NaN where there is one
        if not (np.isfinite(low) and np.isfinite(high)):
            raise ValueError(f"array {name[:80]!r} holds numbers that are not finite")


def _check_arrays(schema: Schema, arrays: Mapping[str, Any]) -> None:
    sizes = dict(schema.sizes)
    for name, table in schema.arrays.items():
        if name not in arrays:
            if table.optional:
                continue
            raise ValueError(f"no array {name!r}")
        _check_array(name, arrays[name], table, sizes)
    extra = set(arrays) - set(schema.arrays)
    if extra and not schema.others:
        raise ValueError(f"an array {sorted(extra)[0][:80]!r} of no use")


def _check_array(name: str, array: Any, table: Table, sizes: dict[str, int]) -> None:
    if array.dtype.kind not in table.kind or table.size not in (None, array.dtype.itemsize):
        raise ValueError(f"array {name!r} holds {array.dtype}")
    if array.ndim != len(table.shape):
        raise ValueError(f"array {name!r} has shape {array.shape}")
    for length, wanted in zip(array.shape, table.shape, strict=True):
        expected = sizes.setdefault(wanted, length) if isinstance(wanted, str) else wanted
        if length != expected:
            raise ValueError(f"array {name!r} has shape {array.shape}, not {expected} {wanted}")
    if array.size == 0:
        return
    low, high = array.min(), array.max()
    if low < table.low or high > table.high:
        raise ValueError(f"array {name!r} holds {low} to {high}")
