"""Image files as bytes: what they are, where Pillow can't say so, and without their notes."""

from __future__ import annotations

import struct

_PNG = b"\x89PNG\r\n\x1a\n"
_NOTES = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")
"""Chunks of a PNG that say something about it; pixels do not need them."""
_KINDS = (
    (b"%PDF", 0, "a PDF document"),
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
    """A PNG without texts and colour profile, whose size Pillow limits; other files as they are."""
    if not content.startswith(_PNG):
        return content
    kept, at = [content[:8]], 8
    while at + 8 <= len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        end = at + 12 + length
        if content[at + 4 : at + 8] not in _NOTES:
            kept.append(content[at:end])
        at = end
    return b"".join(kept)
