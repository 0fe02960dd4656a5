"""Lines of text files: their encoding, what ends a line, and how long one may be."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple, cast

from stepwell.interfaces import StepwellError, UsageError

LINE_BYTES = 2**24
"""Longest line that is held; of a longer one only its beginning is, and it is told."""
_BLOCK = 2**18
_SAMPLE = 2**16
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""Byte order marks; that of UTF-32 begins like that of UTF-16."""
_WIDE = ("utf-16", "utf-32")


class Writing(NamedTuple):
    """How a file is written.

    Attributes
    ----------
    encoding : str
        As Python calls it.
    mark : int
        Bytes of the byte order mark before the text.
    end : str
        What ends a line: ``"\\n"`` (also after ``"\\r"``), or ``"\\r"`` alone (old Macs). Other
        signs that part lines, such as U+2028, are part of a text.
    """

    encoding: str
    mark: int
    end: str

    @classmethod
    def of(cls, path: str | Path, encoding: str | None = None) -> Writing:
        """Of a file, by its beginning; in ``encoding``, where one is given.

        Raises
        ------
        UsageError
            If there is no such encoding.
        StepwellError
            If the file is not text, or damaged.
        """
        with reading(path) as file, whole(path):
            start = file.read(_SAMPLE)
        mark, name = next(((m, n) for m, n in _MARKS if start.startswith(m)), (b"", ""))
        if encoding is not None:
            asked = known_encoding(encoding)
            if codecs.lookup(name or "ascii").name.startswith(asked):
                asked = name or asked  # "utf-16" is either of both
            else:
                mark = b"" if not name.startswith(asked) else mark
            name = asked
        name = name or _unmarked(path, start)
        text = start[len(mark) :].decode(name, "ignore")
        returns = text.count("\r") - text.count("\r\n")
        return cls(name, len(mark), "\r" if returns > text.count("\n") else "\n")


def known_encoding(name: str) -> str:
    """The encoding as Python calls it.

    Raises
    ------
    UsageError
    """
    try:
        "".encode(str(name))
        return codecs.lookup(str(name)).name
    except (LookupError, UnicodeError, ValueError):
        raise UsageError(
            f"Expected an encoding such as utf-8, cp1252, latin-1, utf-16 or gb18030, found "
            f"{name!r}."
        ) from None


def _unmarked(path: str | Path, start: bytes) -> str:
    """UTF-8, unless zero bytes stand where Latin letters of UTF-16 or UTF-32 have theirs."""
    if b"\0" not in start[:4096]:
        return "utf-8"
    quarters = [start[i::4].count(0) / max(len(start) // 4, 1) for i in range(4)]
    empty = [share > 0.7 for share in quarters]
    for pattern, name in (
        ((0, 1, 1, 1), "utf-32-le"),
        ((1, 1, 1, 0), "utf-32-be"),
        ((0, 1, 0, 1), "utf-16-le"),
        ((1, 0, 1, 0), "utf-16-be"),
    ):
        if tuple(map(int, empty)) == pattern:
            return name
    raise StepwellError(f"Expected text in {path}, found a binary file.")


def lines_of(path: str | Path, encoding: str | None = None) -> Iterator[tuple[str, str]]:
    """(line without its end, what is wrong with it) of a text file, plain or gzipped.

    Raises
    ------
    StepwellError
        If the file is not text, or damaged.
    """
    how = Writing.of(path, encoding)
    with reading(path) as file, whole(path):
        file.read(how.mark)
        yield from (_wide if how.encoding.startswith(_WIDE) else _narrow)(file, how)


@contextmanager
def whole(path: str | Path) -> Iterator[None]:
    """Errors of reading, said as ours."""
    try:
        yield
    except (OSError, EOFError, zlib.error) as error:
        raise StepwellError(f"Expected a whole file at {path}, found: {error}.") from None


def _narrow(file: IO[bytes], how: Writing) -> Iterator[tuple[str, str]]:
    """Lines of an encoding in which the byte of an end is nothing else."""
    end, carry, too_long = how.end.encode(), b"", False
    while block := file.read(_BLOCK):
        whole, found, rest = (carry + block).rpartition(end)
        if found:
            if too_long:  # the rest of a line of which the beginning was told
                _, found, whole = whole.partition(end)
                too_long = False
            if found:
                yield from _decoded(whole, how)
        if too_long:
            continue
        carry = rest
        if len(carry) > LINE_BYTES:
            yield carry[:1000].decode(how.encoding, "replace"), _too_long()
            carry, too_long = b"", True
    if carry:
        yield from _decoded(carry, how)


def _decoded(raw: bytes, how: Writing) -> Iterator[tuple[str, str]]:
    """Lines of bytes that end where a line does: all at once, or where one is wrong each alone."""
    try:
        for line in _parted(raw.decode(how.encoding), how.end):
            yield line, ""
        return
    except UnicodeDecodeError:
        pass
    for part in raw.split(how.end.encode()):
        try:
            yield _parted(part.decode(how.encoding), how.end)[0], ""
        except UnicodeDecodeError as error:
            name = how.encoding.upper()
            yield part.decode(how.encoding, "replace"), f"no {name} (byte {error.start + 1})"


def _parted(text: str, end: str) -> list[str]:
    """Lines without their ends, and without zero signs."""
    if "\0" in text:
        text = text.replace("\0", "")
    lines = text.split(end)
    if end == "\n" and "\r" in text:
        lines = [line.rstrip("\r") for line in lines]
    return lines


def _wide(file: IO[bytes], how: Writing) -> Iterator[tuple[str, str]]:
    """Lines of UTF-16 or UTF-32, of which a byte alone says nothing."""
    decoder, carry = codecs.getincrementaldecoder(how.encoding)("replace"), ""
    while True:
        block = file.read(_BLOCK)
        carry += decoder.decode(block, final=not block)
        whole, found, rest = carry.rpartition(how.end)
        for line in _parted(whole, how.end) if found else ():
            yield line, f"no {how.encoding.upper()}" if "\ufffd" in line else ""
        carry = rest
        if len(carry) > LINE_BYTES // 4:
            yield carry[:1000], f"{_too_long()}; what follows it is not read"
            return
        if not block:
            break
    if carry:
        yield _parted(carry, how.end)[0], ""


def _too_long() -> str:
    return f"a line of more than {LINE_BYTES // 2**20} MB"


def reading(path: str | Path) -> io.BufferedReader:
    """The bytes of a file, unpacked where its name ends with .gz."""
    opened = gzip.open if str(path).lower().endswith(".gz") else io.FileIO
    return io.BufferedReader(cast("io.RawIOBase", opened(path, "rb")), _BLOCK)
