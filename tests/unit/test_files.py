"""What becomes of an uploaded file, and which are refused."""

import asyncio
import io
import sys

import pytest
from PIL import Image

from chatbot.errors import FileNotRead, FileTooLarge
from chatbot.files import reader as reader_file
from chatbot.files.names import clean_name, download_name
from chatbot.files.pdf import count_pages
from chatbot.files.pictures import SMALL, read_picture
from chatbot.files.reader import FileReader
from tests import uploads

pytestmark = pytest.mark.anyio


def opened(stored):
    return Image.open(io.BytesIO(stored.data))


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"])
def test_each_common_format_becomes_a_jpeg(format):
    stored = read_picture(uploads.picture(64, 48, format))
    assert (stored.type, stored.width, stored.height) == ("image/jpeg", 64, 48)
    image = opened(stored)
    assert (image.format, image.size) == ("JPEG", (64, 48))
    assert image.getpixel((30, 20))[2] > 90


@pytest.mark.parametrize("mode", ["L", "P", "1", "CMYK", "I;16", "LA", "RGBA", "F"])
def test_each_kind_of_color_is_read(mode):
    format = {"CMYK": "JPEG", "F": "TIFF"}.get(mode, "PNG")
    color = {"L": 128, "P": 1, "1": 1, "I;16": 40_000, "F": 0.5}
    color |= {"LA": (128, 255), "RGBA": (1, 2, 3, 255)}
    content = uploads.picture(40, 40, format, color.get(mode, 0), mode)
    assert read_picture(content).type == "image/jpeg"


def test_a_gray_picture_of_16_bits_keeps_its_gray():
    stored = read_picture(uploads.picture(40, 40, "PNG", 32_768, "I;16"))
    assert abs(opened(stored).getpixel((5, 5))[0] - 128) < 4


def test_of_an_animated_picture_the_first_frame_is_kept():
    frames = [Image.new("RGB", (40, 40), color) for color in ("red", "lime")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    red, green, _ = opened(read_picture(buffer.getvalue())).getpixel((5, 5))
    assert red > 200
    assert green < 60


@pytest.mark.parametrize(("size", "stored_as"), [
    ((4000, 3000), (1600, 1200)),
    ((1000, 5000), (320, 1600)),
    ((1600, 900), (1600, 900)),
    ((2250, 15), (2250, 15)),
    ((4500, 30), (2250, 15)),
])  # fmt: skip
def test_a_large_picture_is_scaled_down_but_not_below_what_ark_takes(size, stored_as):
    for format in ("JPEG", "PNG"):
        stored = read_picture(uploads.picture(*size, format))
        assert (stored.width, stored.height) == opened(stored).size == stored_as


def test_a_photo_is_turned_upright_and_loses_its_metadata():
    content = uploads.sideways()
    assert b"Ann Secret" in content
    assert b"taken at home" in content
    stored = read_picture(content)
    image = opened(stored)
    assert image.size == (stored.width, stored.height) == (300, 400)
    assert image.getpixel((290, 10))[0] > 200, "the red corner is top right"
    assert image.getpixel((10, 10))[0] < 60
    assert len(image.getexif()) == 0
    assert b"Ann Secret" not in stored.data
    assert b"taken at home" not in stored.data
    assert b"Exif" not in stored.data


def test_a_small_transparent_picture_stays_transparent_without_metadata():
    buffer = io.BytesIO()
    image = Image.new("RGBA", (40, 40), (255, 0, 0, 0))
    exif = Image.Exif()
    exif[0x013B] = "Ann Secret"
    image.save(buffer, "PNG", exif=exif, icc_profile=b"some profile")
    stored = read_picture(buffer.getvalue())
    assert stored.type == "image/png"
    assert opened(stored).getpixel((5, 5))[3] == 0
    assert b"eXIf" not in stored.data
    assert b"iCCP" not in stored.data


def test_a_transparent_picture_that_stays_large_becomes_a_jpeg_on_white():
    content = uploads.noise(1500, 1500)
    assert len(content) > SMALL
    stored = read_picture(content)
    assert stored.type == "image/jpeg"
    assert len(stored.data) < len(content)


def test_a_picture_with_an_unused_transparency_becomes_a_jpeg():
    assert read_picture(uploads.picture(mode="RGBA", color=(1, 2, 3, 255))).type == "image/jpeg"


WHOLE = uploads.photo()
UNREADABLE = {
    "nothing": b"",
    "text": b"Hello, this is no picture.",
    "an SVG": uploads.SVG,
    "one pixel": uploads.picture(1, 1),
    "too narrow": uploads.picture(14, 400),
    "too long": uploads.picture(15, 2400),
    "cut off": WHOLE[: len(WHOLE) // 2],
    "a PNG that is cut off": uploads.noise(60, 60)[:-2000],
    "a broken header": b"\x89PNG\r\n\x1a\n" + b"\0" * 200,
    "an icon": uploads.picture(64, 64, "ICO"),
    "a PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n",
    "HEIC": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 100,
    "a JPEG 2000": uploads.picture(64, 64, "JPEG2000"),
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_what_is_no_picture_that_can_be_read_is_refused(what):
    with pytest.raises(FileNotRead):
        read_picture(UNREADABLE[what])


@pytest.mark.parametrize("size", [(60_000, 60_000), (9_000, 5_600)])
def test_too_many_pixels_are_refused_before_they_are_decoded(size, monkeypatch):
    def loaded(*_):
        raise AssertionError("it was decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", loaded)
    with pytest.raises(FileTooLarge):
        read_picture(uploads.bomb(*size))


def test_the_pages_of_a_pdf_are_counted():
    assert count_pages(uploads.pdf(3)) == 3


CIRCLE = (
    b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n"
    b"2 0 obj\n<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 9 >>\nendobj\n"
    b"trailer\n<< /Root 1 0 R >>\n"
)
BAD_PDF = {
    "encrypted": uploads.pdf(2, password="secret"),
    "encrypted, but anybody may open it": uploads.pdf(2, owner="secret"),
    "no page": uploads.pdf(0),
    "broken": b"%PDF-1.7\nnothing more",
    "cut off": uploads.pdf(3)[:200],
    "a page tree that leads back to itself": CIRCLE,
}


@pytest.mark.parametrize("what", BAD_PDF)
def test_a_pdf_that_cannot_be_read_is_refused(what):
    with pytest.raises(FileNotRead):
        count_pages(BAD_PDF[what])


@pytest.fixture
def reader():
    made = FileReader(max_mb=1, max_pages=5)
    yield made
    made.close()


async def test_the_reader_goes_by_content_not_by_name(reader):
    stored = await reader.read("report.pdf", uploads.photo())
    assert (stored.kind, stored.type, stored.pages) == ("image", "image/jpeg", 0)
    assert (stored.width, stored.height) == (400, 300)
    content = uploads.pdf(2)
    stored = await reader.read("holiday.png", content)
    assert (stored.kind, stored.type, stored.pages) == ("pdf", "application/pdf", 2)
    assert stored.data == content, "the model gets what was uploaded"
    assert stored.name == "holiday.png.pdf"
    with pytest.raises(FileNotRead):
        await reader.read("picture.png", uploads.SVG)


async def test_the_reader_tells_its_limits(reader):
    for content in (b"\0" * (1024 * 1024 + 1), uploads.bomb(), uploads.pdf(6)):
        with pytest.raises(FileTooLarge, match="1 MB, 50 million pixels and 5 pages"):
            await reader.read("x", content)
    assert (await reader.read("x", uploads.pdf(5))).pages == 5


async def test_a_file_that_takes_forever_is_given_up(monkeypatch):
    endless = (sys.executable, "-c", "while True: pass")
    monkeypatch.setattr(reader_file, "COMMAND", endless)
    hasty = FileReader(max_mb=1, max_pages=5, seconds=0.3)
    async with asyncio.timeout(10):
        with pytest.raises(FileNotRead):
            await hasty.read("x", uploads.pdf())
    hasty.close()


async def test_a_decoder_that_crashes_takes_nothing_with_it(monkeypatch, reader):
    monkeypatch.setattr(reader_file, "COMMAND", (sys.executable, "-c", "import os; os.abort()"))
    with pytest.raises(FileNotRead):
        await reader.read("x", uploads.photo())


async def test_decoders_know_no_secret_and_have_limits(monkeypatch, reader):
    monkeypatch.setenv("ARK_API_KEY", "secret")
    look = (
        "import json, os, resource, chatbot.files.process as p; p._limit();"
        "told = ['ARK_API_KEY' in os.environ, resource.getrlimit(resource.RLIMIT_AS)[0]];"
        "print(json.dumps({'kind': 'image', 'type': 'image/png', 'width': told}))"
    )
    monkeypatch.setattr(reader_file, "COMMAND", (sys.executable, "-c", look))
    knows_key, memory = (await reader.read("x", b"")).width
    assert not knows_key
    assert memory == 1536 * 1024 * 1024


async def test_two_files_are_read_at_once_and_the_page_goes_on(monkeypatch, reader):
    slow = 'import time; time.sleep(0.4); print(\'{"error": "file_not_read"}\')'
    monkeypatch.setattr(reader_file, "COMMAND", (sys.executable, "-c", slow))
    loop = asyncio.get_running_loop()
    begun, steps = loop.time(), 0
    reading = [asyncio.create_task(reader.read("x", b"")) for _ in range(4)]
    while not all(task.done() for task in reading):
        await asyncio.sleep(0.01)
        steps += 1
    assert loop.time() - begun > 0.75
    assert steps > 20
    await asyncio.gather(*reading, return_exceptions=True)


@pytest.mark.parametrize(("told", "name"), [
    ("holiday.jpg", "holiday.jpg"),
    ("../../etc/passwd", "passwd"),
    ("C:\\Users\\ann\\我的 照片.png", "我的 照片.png"),
    ("a\r\nSet-Cookie: x\0.png", "aSet-Cookie: x.png"),
    ("invoice\u202egpj.exe", "invoicegpj.exe"),
    ("", "picture.jpg"),
    (" .. ", "picture.jpg"),
    ("lone \ud800 half.png", "lone \ufffd half.png"),
    ("x" * 300 + ".png", "x" * 196 + ".png"),
])  # fmt: skip
def test_names_are_cleaned(told, name):
    assert clean_name(told, "image", "image/jpeg") == name


def test_names_of_downloads_say_what_the_file_is():
    assert download_name("photo.HEIC", "image/jpeg") == "photo.jpg"
    assert download_name("photo.JPG", "image/jpeg") == "photo.JPG"
    assert download_name("plan.pdf", "application/pdf") == "plan.pdf"
    assert clean_name("plan", "pdf", "application/pdf") == "plan.pdf"
    assert clean_name("", "pdf", "application/pdf") == "document.pdf"
    assert len(clean_name("y" * 250, "pdf", "application/pdf")) == 200
