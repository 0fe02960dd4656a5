"""Any image file becomes RGB on a square, its tones and its way up kept."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from stepwell.sources.decode import decode, size_of
from stepwell.sources.pillow import Unreadable

FORMATS = ["PNG", "BMP", "TIFF", "PPM", "TGA", "GIF", "PCX", "SGI", "ICO", "ICNS"]
FORMATS += ["WEBP", "JPEG", "JPEG2000", "DDS", "QOI", "AVIF"]
RAMP = np.linspace(0, 65535, 16 * 16).astype(np.uint16).reshape(16, 16)


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def flat(*colour: int, mode: str = "RGB") -> Image.Image:
    return Image.new(mode, (16, 16), colour if len(colour) > 1 else colour[0])


def png_header(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    header = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + header + struct.pack(">I", 0) + b"IDAT" + bytes(4)


@pytest.mark.parametrize("form", FORMATS)
def test_formats_that_pillow_writes(form, pixels):
    Image.init()
    optional = {"WEBP": "webp", "JPEG2000": "jpg_2000", "AVIF": "avif"}
    if form not in Image.SAVE or (form in optional and not features.check(optional[form])):
        pytest.skip(f"this Pillow writes no {form}")
    smooth = np.linspace(30, 220, 32 * 32 * 3).astype(np.uint8).reshape(32, 32, 3)
    lossless = {"WEBP": {"lossless": True}, "ICO": {"sizes": [(32, 32)]}}.get(form, {})
    found = decode(encoded(Image.fromarray(smooth), form, **lossless), 32)
    assert found.shape == (32, 32, 3)
    assert found.dtype == np.uint8
    lossy = form in ("GIF", "JPEG", "AVIF", "JPEG2000")
    assert np.abs(found.astype(int) - smooth).max() <= (24 if lossy else 0)


def test_pixels_of_the_canvas_size_are_untouched(pixels):
    image = pixels(24, 24, 3)
    np.testing.assert_array_equal(decode(encoded(Image.fromarray(image)), 24), image)


@pytest.mark.parametrize("form", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_keep_order_and_full_scale(form):
    found = decode(encoded(Image.fromarray(RAMP), form), 16)[..., 0].ravel()
    np.testing.assert_array_equal(found, np.rint(RAMP.ravel() / 257))
    assert found[0] == 0
    assert found[-1] == 255


def test_sixteen_bits_in_32_bit_integers():
    found = decode(encoded(Image.fromarray(RAMP.astype(np.int32)), "TIFF"), 16)[..., 0]
    np.testing.assert_array_equal(found, np.rint(RAMP / 257))


def test_wider_integers_stretch_and_never_clip():
    values = (RAMP.astype(np.int32) - 1000) * 20
    found = decode(encoded(Image.fromarray(values), "TIFF"), 16)[..., 0].ravel()
    assert (found[0], found[-1]) == (0, 255)
    assert (np.diff(found.astype(int)) >= 0).all()


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 255), (-3, 9000)])
def test_floats(low, high):
    values = np.linspace(low, high, 256, dtype=np.float32).reshape(16, 16)
    found = decode(encoded(Image.fromarray(values), "TIFF"), 16)[..., 0].ravel()
    np.testing.assert_allclose(found, np.arange(256), atol=1)


def test_floats_that_are_not_finite_are_refused():
    values = np.full((16, 16), np.nan, np.float32)
    with pytest.raises(Unreadable, match="not finite"):
        decode(encoded(Image.fromarray(values), "TIFF"), 16)


@pytest.mark.parametrize(
    ("image", "form", "expected"),
    [
        (flat(200, mode="L"), "PNG", (200, 200, 200)),
        (flat(1, mode="1"), "PNG", (255, 255, 255)),
        (flat(100, 0, mode="LA"), "PNG", (255, 255, 255)),
        (flat(9, 8, 7, 0, mode="RGBA"), "PNG", (255, 255, 255)),
        (flat(0, 0, 0, 128, mode="RGBA"), "PNG", (127, 127, 127)),
        (flat(9, 8, 7, 255, mode="RGBA"), "PNG", (9, 8, 7)),
        (flat(0, 255, 255, 0, mode="CMYK"), "TIFF", (255, 0, 0)),
        (flat(255, 0, 0).convert("YCbCr"), "TIFF", (254, 0, 0)),
        (flat(255, 0, 0).quantize(4), "PNG", (255, 0, 0)),
        (flat(255, 128, 128, mode="LAB"), "TIFF", (255, 255, 255)),
    ],
    ids=["grey", "bit", "LA", "clear", "half", "opaque", "CMYK", "YCbCr", "palette", "LAB"],
)
def test_modes(image, form, expected):
    found = decode(encoded(image, form), 16)
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), atol=2)


def test_cmyk_jpeg():
    found = decode(encoded(flat(0, 255, 255, 0, mode="CMYK"), "JPEG", quality=95), 16)
    np.testing.assert_allclose(found[8, 8], (255, 0, 0), atol=4)


def test_a_palette_with_a_transparent_colour_is_over_white():
    image = flat(0, mode="P")
    image.putpalette([200, 0, 0, 0, 200, 0])
    image.putpixel((3, 2), 1)
    found = decode(encoded(image, "PNG", transparency=0), 16)
    assert tuple(found[0, 0]) == (255, 255, 255)
    assert tuple(found[2, 3]) == (0, 200, 0)


def test_the_first_frame_counts():
    frames = [flat(255, 0, 0), flat(0, 255, 0)]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    np.testing.assert_allclose(decode(content, 16)[0, 0], (255, 0, 0), atol=2)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF"])
def test_exif_orientation(form, orientation):
    upright = Image.new("RGB", (32, 32), "black")
    upright.paste("red", (0, 0, 16, 16))
    upright.paste("blue", (16, 0, 32, 16))
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # stored so that the tag undoes it
    stored = upright.transpose(undo[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 100, "subsampling": 0} if form == "JPEG" else {}
    found = decode(encoded(stored, form, exif=exif, **options), 32)
    np.testing.assert_allclose(found, np.asarray(upright), atol=12)


def test_any_shape_is_squeezed_to_the_square():
    tall = Image.fromarray(
        np.repeat([[[0]], [[255]]], 40, 0).repeat(20, 1).astype(np.uint8)[..., 0]
    )
    found = decode(encoded(tall), 16)
    assert found[:7].max() == 0
    assert found[9:].min() == 255


def test_one_pixel_is_an_image():
    found = decode(encoded(Image.new("RGB", (1, 1), (5, 6, 7))), 16)
    np.testing.assert_array_equal(found, np.broadcast_to((5, 6, 7), (16, 16, 3)))


def test_a_jpeg_decoded_at_a_reduced_scale_looks_the_same():
    y, x = np.mgrid[:600, :800]
    smooth = np.stack([x * 255 / 800, y * 255 / 600, (x + y) * 255 / 1400], 2).astype(np.uint8)
    reduced = decode(encoded(Image.fromarray(smooth), "JPEG", quality=95), 64)
    whole = decode(encoded(Image.fromarray(smooth)), 64)
    assert np.abs(reduced.astype(int) - whole).max() <= 6


def test_large_images_shrink_in_strips_like_small_ones_at_once():
    y, x = np.mgrid[:5200, :5200]
    large = Image.fromarray(((x + y) * 255 / 10400).astype(np.uint8))
    found = decode(encoded(large, compress_level=1), 32)[..., 0]
    whole = np.asarray(large.resize((32, 32), Image.Resampling.BOX))
    assert np.abs(found.astype(int) - whole).max() <= 2


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"only words, no picture\n", "not an image: the content is text"),
        ("naïve café\n".encode(), "not an image: the content is text"),
        (b"<!DOCTYPE html><html>404</html>", "not an image: the content is a web page"),
        (bytes(500), "not an image: nothing but zero bytes"),
        (b"\x07\x00\xfe" * 99, "not an image, or damaged at its very beginning"),
        (png_header(60000, 60000), "too large.*200 megapixels"),
        (png_header(15000, 15000), "too large.*200 megapixels"),
    ],
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_what_is_no_image_says_why(content, reason):
    with pytest.raises(Unreadable, match=reason):
        decode(content, 16)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "TIFF"])
def test_truncated_files_are_refused(form, pixels):
    content = encoded(Image.fromarray(pixels(64, 64, 3)), form)
    with pytest.raises(Unreadable, match=r"cut short|damaged"):
        decode(content[: len(content) // 2], 16)


def test_headers_give_the_size(pixels):
    assert size_of(encoded(Image.fromarray(pixels(30, 50, 3)))) == (30, 50)


def test_postscript_is_not_run(tmp_path: Path):
    with pytest.raises(Unreadable):
        decode(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EOF\n", 16)
