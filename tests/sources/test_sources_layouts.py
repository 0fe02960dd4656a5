"""Notes that are damaged or huge cost no picture; layouts that can't be read have a name."""

from __future__ import annotations

import io
import struct
import threading
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from stepwell.sources.decode import decode, size_of
from stepwell.sources.gate import Gate, memory_of
from stepwell.sources.pillow import Unreadable, pillow

PIXELS = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)


def encoded(form: str = "PNG", pixels: np.ndarray = PIXELS, **options: object) -> bytes:
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, form, **options)
    return held.getvalue()


def chunk(kind: bytes, content: bytes, crc: int = 0) -> bytes:
    check = (zlib.crc32(kind + content) + crc) % 2**32
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


HUGE = zlib.compress(bytes(70_000_000))
NOTES = {
    "a text of 70 MB": chunk(b"zTXt", b"a\0\0" + HUGE),
    "an international text of 70 MB": chunk(b"iTXt", b"a\0\1\0\0\0" + HUGE),
    "90 texts of 900 kB": chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(900_000))) * 90,
    "a profile of 70 MB": chunk(b"iCCP", b"a\0\0" + HUGE),
    "a profile that is none": chunk(b"iCCP", b"a\0\0xxxx"),
    "a text with a wrong checksum": chunk(b"tEXt", b"a\0b", crc=1),
    "a density cut short": chunk(b"pHYs", b"\0"),
    "light cut short": chunk(b"gAMA", b"") + chunk(b"cHRM", b"\0") + chunk(b"sRGB", b""),
    "which way is up, cut short": chunk(b"eXIf", b"II*\0\xff\xff\xff\xff"),
    "which way is up, with a wrong checksum": chunk(b"eXIf", b"II*\0", crc=1),
    "an animation of nothing": chunk(b"acTL", b"\0\0\0\0\0\0\0\0"),
}


@pytest.mark.parametrize("what", NOTES)
@pytest.mark.parametrize("last", [False, True])
def test_notes_of_a_png_cost_no_picture(what, last):
    content = encoded()
    at = len(content) - 12 if last else 33  # before the end, or behind the header
    content = content[:at] + NOTES[what] + content[at:]
    np.testing.assert_array_equal(decode(content, 16), PIXELS)
    assert size_of(content) == (16, 16)


def test_transparency_and_which_way_is_up_are_kept_without_notes():
    grey = Image.fromarray(PIXELS[..., 0]).convert("P")
    exif = Image.Exif()
    exif[0x0112] = 3
    held = io.BytesIO()
    grey.save(held, "PNG", transparency=int(np.asarray(grey)[0, 0]), exif=exif)
    content = held.getvalue()
    noted = content[:33] + NOTES["a text of 70 MB"] + content[33:]
    np.testing.assert_array_equal(decode(noted, 16), decode(content, 16))


@pytest.mark.parametrize("marker", [0xE0, 0xE1, 0xE2, 0xED, 0xEF, 0xFE])
@pytest.mark.parametrize("note", [b"", b"\0" * 60, b"Exif\0\0MM\0*\xff", b"MPF\0II*\0\xff\xff\xff"])
def test_notes_of_a_jpeg_cost_no_picture(marker, note):
    content = encoded("JPEG")
    segment = bytes([0xFF, marker]) + struct.pack(">H", len(note) + 2) + note
    found = decode(content[:2] + segment + content[2:], 16)
    np.testing.assert_array_equal(found, decode(content, 16))


def test_pixels_that_are_damaged_are_not_read_by_leaving_out_notes():
    info = PngImagePlugin.PngInfo()
    info.add_text("a", "b")
    content = bytearray(encoded(pnginfo=info))
    content[-40] ^= 255
    with pytest.raises(Unreadable, match=r"damaged|cut short"):
        decode(bytes(content), 16)


def tiff(
    pixels: np.ndarray, photometric: int = 2, planar: int = 1, bits: int = 0, kind: int = 1
) -> bytes:
    """An uncompressed TIFF in one strip; ``pixels`` are (h, w, bands)."""
    height, width, bands = pixels.shape
    data = (pixels if planar == 1 else pixels.transpose(2, 0, 1)).tobytes()
    bits = bits or 8 * pixels.itemsize
    tags = [(256, 4, [width]), (257, 4, [height]), (258, 3, [bits] * bands), (259, 3, [1])]
    tags += [(262, 3, [photometric]), (273, 4, [0]), (277, 3, [bands]), (278, 4, [height])]
    tags += [(279, 4, [len(data)]), (284, 3, [planar]), (339, 3, [kind] * bands)]
    after, more = 8 + 2 + 12 * len(tags) + 4, b""
    entries = b""
    for tag, form, values in tags:
        raw = b"".join(struct.pack("<H" if form == 3 else "<I", v) for v in values)
        place = after + len(more) if len(raw) > 4 else None
        entries += struct.pack("<HHI", tag, form, len(values))
        entries += raw.ljust(4, b"\0") if place is None else struct.pack("<I", place)
        more += raw if place is not None else b""
    start = entries.index(struct.pack("<HHI", 273, 4, 1)) + 8
    entries = entries[:start] + struct.pack("<I", after + len(more)) + entries[start + 4 :]
    head = b"II*\0" + struct.pack("<IH", 8, len(tags))
    return head + entries + bytes(4) + more + data


@pytest.mark.parametrize("photometric", [0, 1, 2])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_three_bands_called_grey_are_colours(photometric, kind):
    content = tiff(PIXELS.astype(kind) * (257 if kind == np.uint16 else 1), photometric)
    np.testing.assert_array_equal(decode(content, 16), PIXELS)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (tiff(np.zeros((8, 8, 5), np.uint8), 1), "5 bands of 8 bit"),
        (tiff(np.zeros((8, 8, 12), np.uint16), 1), "12 bands of 16 bit"),
        (tiff(np.zeros((8, 8, 3), np.float32), kind=3), "3 bands of 32 bit of fractions"),
        (tiff(np.zeros((8, 8, 3), np.uint32)), "3 bands of 32 bit"),
        (tiff(np.zeros((8, 8, 1), np.complex64), 1, kind=6), "1 band of 64 bit"),
    ],
)
def test_layouts_of_tiff_have_a_name(content, words):
    with pytest.raises(Unreadable, match=rf"a TIFF in a layout .* \({words}"):
        decode(content, 16)


@pytest.mark.parametrize(
    ("marker", "bits", "words"),
    [
        (0xC1, 12, "12 bit"),
        (0xC3, 16, "lossless, 16 bit"),
        (0xC5, 8, "hierarchical"),
        (0xC9, 12, "arithmetic coding, 12 bit"),
    ],
)
def test_layouts_of_jpeg_have_a_name(marker, bits, words):
    content = bytearray(encoded("JPEG"))
    at = content.index(b"\xff\xc0")
    content[at + 1], content[at + 4] = marker, bits
    with pytest.raises(Unreadable, match=rf"a JPEG in a layout .* \({words}\)"):
        decode(bytes(content), 16)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"></svg>', "an SVG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 24 24\n", "a PostScript document"),
        (bytes([92, 1]) + bytes(342) + b"n+1\0" + bytes(20), "a NIfTI file"),
        (encoded("GIF")[:30], "GIF|cut short|damaged"),
    ],
)
def test_other_files_have_a_name(content, words):
    with pytest.raises(Unreadable, match=words):
        decode(content, 16)


def test_icons_of_other_sizes_than_they_say_are_refused():
    rows = b"".join([b"\0" * (1 + 4 * 14000)] * 4)
    body = struct.pack(">IIBBBBB", 14000, 14000, 8, 6, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", body) + chunk(b"IDAT", zlib.compress(rows))
    entry = struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(png), 22)
    with pytest.raises(Unreadable, match="too large"):
        decode(struct.pack("<HHH", 0, 1, 1) + entry + png, 16)


@pytest.mark.parametrize(
    ("form", "options", "least"),
    [
        ("PNG", {}, 4),
        ("JPEG", {"progressive": True, "subsampling": 0}, 4 + 6),
        ("JPEG", {"progressive": True, "subsampling": 2}, 4 + 3),
        ("TIFF", {}, 4 + 3),
        ("WEBP", {}, 4 + 8),
    ],
)
def test_what_decoders_hold_is_counted(form, options, least):
    image = pillow().open(io.BytesIO(encoded(form, np.zeros((64, 64, 3), np.uint8), **options)))
    assert memory_of(image, image.size) == 64 * 64 * least


def test_a_gate_lets_through_what_fits_and_what_is_larger_alone():
    gate, held, most = Gate(2**26), [], []

    def hold(size: int) -> None:
        with gate.holding(size):
            held.append(size)
            most.append(sum(held))
            threading.Event().wait(0.01)
            held.remove(size)

    sizes = [2**25, 2**26, 2**27, 2**25, 2**25, 2**20, 2**27] * 3
    threads = [threading.Thread(target=hold, args=(size,)) for size in sizes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) <= 2**27 + 3 * 2**20  # small ones do not ask
    assert not held
