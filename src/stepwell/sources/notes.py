"""Image files as bytes: what they are, where Pillow can't say so, and without their notes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

_PNG = b"\x89PNG\r\n\x1a\n"
_NEEDED = (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"eXIf")
"""Chunks of a PNG without which its pixels, or which way is up, are not known."""
_MARKERS = {*range(0xE0, 0xF0), 0xFE} - {0xEE}
"""Segments of a JPEG that say something about it; 0xEE tells how colours are kept."""
_KINDS = (
    (b"%PDF", 0, "a PDF document"),
    (b"%!PS", 0, "a PostScript document"),
    (b"n+1\0", 344, "a NIfTI file"),
    (b"DICM", 128, "a DICOM file"),
    (b"\x89HDF\r\n", 0, "an HDF5 file"),
    (b"\x1f\x8b", 0, "a compressed file"),
    (b"PK\x03\x04", 0, "a zip archive"),
    (b"Rar!", 0, "a RAR archive"),
    (b"7z\xbc\xaf", 0, "a 7z archive"),
    (b"\xff\x0a", 0, "a JPEG XL image"),
    (b"\0\0\0\x0cJXL ", 0, "a JPEG XL image"),
    (b"FUJIFILM", 0, "a raw photograph"),
    (b"IIRO", 0, "a raw photograph"),
    (b"8BPS", 0, "a Photoshop file in a layout"),
    (b"\xff\xd8\xff", 0, "a JPEG in a layout"),
    (b"\x89PNG", 0, "a PNG in a layout"),
    (b"RIFF", 0, "a WebP image in a layout"),
    (b"GIF8", 0, "a GIF in a layout"),
    (b"\0\0\0\x0cjP  ", 0, "a JPEG 2000 image in a layout"),
    (b"SIMPLE  =", 0, "a FITS file in a layout"),
)
"""Beginnings, where they stand, and what they are of."""
_BRANDS = {b"avi": "an AVIF image", b"hei": "a HEIC image", b"hev": "a HEIC image"}
_BRANDS |= {b"mif": "a HEIF image", b"msf": "a HEIF image", b"crx": "a raw photograph"}
_TIFF = {b"II*\0": "<", b"MM\0*": ">"}
_COMPRESSED = {5: "LZW", 6: "old JPEG", 7: "JPEG", 8: "deflate", 34712: "JPEG 2000"}
_COMPRESSED |= {32773: "PackBits", 34925: "LZMA", 50000: "Zstandard", 50001: "WebP"}


def named(content: bytes) -> str:
    """What bytes are of that Pillow can't open: empty where they begin like nothing known."""
    if content[:4] in _TIFF:
        return f"a TIFF in a layout that can't be read here ({_layout(content)})"
    if content[:4] in (b"II+\0", b"MM\0+"):
        return "a BigTIFF in a layout that can't be read here"
    if content[4:8] == b"ftyp":
        return f"{_BRANDS.get(content[8:11], 'a video')} that can't be read here"
    if layout := jpeg_layout(content):
        return f"a JPEG in a layout that can't be read here ({layout})"
    if b"<svg" in content[:1024]:
        return "an SVG drawing that can't be read here"
    for start, at, kind in _KINDS:
        if content[at : at + len(start)] == start:
            return f"{kind} that can't be read here"
    return ""


def _layout(content: bytes) -> str:
    """Of a TIFF: "5 bands of 8 bit", and how they are kept."""
    try:
        tags = _tags(content)
    except (struct.error, IndexError):
        return "its directory is cut short"
    bands, bits = tags.get(277, [1])[0], tags.get(258, [1])
    each = f"{bits[0]} bit" if len(set(bits)) == 1 else f"{', '.join(map(str, bits))} bit"
    kind = {2: " with a sign", 3: " of fractions", 5: " complex"}.get(tags.get(339, [1])[0], "")
    found = [f"{bands} band{'s' * (bands != 1)} of {each}{kind}"]
    if tags.get(284, [1])[0] == 2:
        found.append("one after the other")
    if (packed := tags.get(259, [1])[0]) != 1:
        found.append(f"packed by {_COMPRESSED.get(packed, f'method {packed}')}")
    return ", ".join(found)


def _tags(content: bytes) -> dict[int, list[int]]:
    """Whole numbers of the first directory (TIFF 6.0, section 2)."""
    order = _TIFF[content[:4]]
    (at,) = struct.unpack_from(f"{order}I", content, 4)
    (count,) = struct.unpack_from(f"{order}H", content, at)
    found: dict[int, list[int]] = {}
    for i in range(min(count, 200)):
        tag, kind, length = struct.unpack_from(f"{order}HHI", content, at + 2 + 12 * i)
        size = {1: "B", 3: "H", 4: "I"}.get(kind)
        if size is None or not 1 <= length <= 64:
            continue
        place = at + 2 + 12 * i + 8
        if struct.calcsize(size) * length > 4:
            (place,) = struct.unpack_from(f"{order}I", content, place)
        found[tag] = [*struct.unpack_from(f"{order}{length}{size}", content, place)]
    return found


def without_notes(content: bytes) -> bytes:
    """A PNG or JPEG without what is said about it in texts, profiles and previews: empty where
    there is nothing of the kind, or it is another file."""
    parts = _png_parts(content) if content.startswith(_PNG) else _jpeg_parts(content)
    plain = b"".join(parts)
    return plain if len(plain) < len(content) else b""


def _png_parts(content: bytes) -> Iterator[bytes]:
    """The signature, and chunks that are needed: another that was damaged costs nothing."""
    yield content[:8]
    at = 8
    while at + 8 <= len(content):
        end = at + 12 + int.from_bytes(content[at : at + 4], "big")
        kind = content[at + 4 : at + 8]
        whole = content[end - 4 : end] == zlib.crc32(content[at + 4 : end - 4]).to_bytes(4, "big")
        if kind in _NEEDED and (whole or kind != b"eXIf"):
            yield content[at:end]
        at = end


def _jpeg_parts(content: bytes) -> Iterator[bytes]:
    """Segments before the pixels that are needed, and all that follows."""
    at = 2
    if content[:2] != b"\xff\xd8":
        yield content
        return
    yield content[:2]
    for marker, at, end in _segments(content):
        exif = marker == 0xE1 and content[at + 4 : at + 10] == b"Exif\0\0"
        if marker not in _MARKERS or exif:
            yield content[at:end]
        at = end
    yield content[at:]


def _segments(content: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, start, end) of the segments of a JPEG that stand before its pixels."""
    at = 2
    while at + 4 <= len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        end = at + 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        if marker in (0xDA, 0xD9) or end > len(content):
            return
        yield marker, at, end
        at = end


def jpeg_layout(content: bytes) -> str:
    """How a JPEG is kept, where that is a way which few can read: empty for all others."""
    if content[:2] != b"\xff\xd8":
        return ""
    for marker, at, _ in _segments(content):
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            bits = content[at + 4]
            kind = {0xC3: "lossless", 0xC5: "hierarchical", 0xC6: "hierarchical"}
            kind |= dict.fromkeys((0xC9, 0xCA), "arithmetic coding")
            kind |= dict.fromkeys((0xC7, 0xCB, 0xCD, 0xCE, 0xCF), "lossless or hierarchical")
            found = [kind[marker]] if marker in kind else []
            return ", ".join([*found, f"{bits} bit"] if bits != 8 else found)
    return ""


def as_colours(content: bytes) -> bytes:
    """A TIFF of three or four bands called grey, as some programs leave satellite images, with
    its first three called colours; any other file as it is."""
    order = _TIFF.get(content[:4])
    try:
        tags = _tags(content) if order else {}
        bands, bits = tags.get(277, [1])[0], {*tags.get(258, [1])}
        if not (bands in (3, 4) and bits in ({8}, {16}) and tags.get(262) in ([0], [1])):
            return content
        (at,) = struct.unpack_from(f"{order}I", content, 4)
        (count,) = struct.unpack_from(f"{order}H", content, at)
        for place in range(at + 2, at + 2 + 12 * count, 12):
            if struct.unpack_from(f"{order}HHI", content, place) == (262, 3, 1):
                colours = struct.pack(f"{order}H", 2)
                return content[: place + 8] + colours + content[place + 10 :]
    except (struct.error, IndexError):
        pass
    return content
