"""Pictures and PDF files in the messages to the local Ark."""

import base64
import io
import math
import struct
from typing import Any

import httpx
import pytest
from PIL import Image

from chatbot.ark.offline import count_messages
from chatbot.ark.offline.picture_size import read_format, read_size
from tests.fake_ark import FakeArk
from tests.wire.arks import QUIET, answer_of, chat, respond, user

pytestmark = pytest.mark.anyio

PDF = b"%PDF-1.7\n1 0 obj <</Type /Pages /Count 2>>\n<</Type /Page>>\n<</Type/Page >>\n%%EOF"
ENDPOINT = "ep-offline-demo"


def picture(form: str, width: int, height: int, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(file, form, **options)
    return file.getvalue()


def data_url(content: bytes, mime: str = "image/png") -> str:
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"


def png_header(width: int, height: int) -> bytes:
    """Enough of a PNG to tell its size."""
    return b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR" + struct.pack(
        ">IIBBBBB", width, height, 8, 2, 0, 0, 0
    )


def text(words: str) -> dict[str, str]:
    return {"type": "input_text", "text": words}


def image(url: Any, **options: Any) -> dict[str, Any]:
    return {"type": "input_image", "image_url": url, **options}


async def ask(raw: httpx.AsyncClient, *parts: dict[str, Any], **options: Any) -> Any:
    return await respond(raw, [user(list(parts))], **{"thinking": QUIET, **options})


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "BMP", "WebP"])
def test_reads_sizes(form: str) -> None:
    content = picture(form, 321, 123)
    assert (read_format(content), read_size(content)) == (form, (321, 123))
    assert read_size(content[:9]) is None


@pytest.mark.parametrize("options", [{"lossless": True}, {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0"}])
def test_reads_sizes_of_other_webp(options: dict) -> None:
    assert read_size(picture("WebP", 321, 123, **options)) == (321, 123)


def test_reads_the_size_of_a_progressive_jpeg() -> None:
    assert read_size(picture("JPEG", 321, 123, progressive=True, comment=b"x" * 500)) == (321, 123)


async def test_describes_a_picture(raw: httpx.AsyncClient) -> None:
    url = data_url(picture("JPEG", 1600, 1200), "image/jpeg")
    english = answer_of(await ask(raw, image(url), text("What is in it?")))
    assert "a JPEG picture, 1600 by 1200 pixels" in english
    chinese = answer_of(await ask(raw, image(url), text("这是什么？"), model=ENDPOINT))
    assert "一张 JPEG 图片，1600×1200 像素" in chinese
    both = answer_of(await ask(raw, image(url), image(data_url(picture("PNG", 20, 30)))))
    assert both.index("1600 by 1200") < both.index("a PNG picture, 20 by 30 pixels")


async def test_chat_takes_pictures_too(raw: httpx.AsyncClient) -> None:
    url = {"url": data_url(picture("PNG", 200, 100)), "detail": "high"}
    parts = [{"type": "image_url", "image_url": url}, {"type": "text", "text": "图里有什么？"}]
    told = await chat(raw, user(parts), thinking=QUIET)
    assert "200×100" in answer_of(told)
    plain = count_messages([user("图里有什么？")])
    assert told["usage"]["prompt_tokens"] == plain + math.ceil(200 * 100 / 1764)


@pytest.mark.parametrize(
    ("size", "options", "tokens"),
    [
        ((420, 420), {}, 100),
        ((421, 420), {}, 101),
        ((4000, 3000), {}, 1280),
        ((4000, 3000), {"detail": "low"}, 1280),
        ((4000, 3000), {"detail": "auto"}, 1280),
        ((4000, 3000), {"detail": "xhigh"}, 5120),
        ((2100, 2100), {"detail": "xhigh"}, 2500),
        ((4000, 3000), {"image_pixel_limit": {"max_pixels": 176_400}}, 100),
        ((42, 42), {"image_pixel_limit": {"min_pixels": 176_400}}, 100),
    ],
)
async def test_counts_pixels(
    raw: httpx.AsyncClient, size: tuple[int, int], options: dict, tokens: int
) -> None:
    told = await ask(raw, image(data_url(png_header(*size)), **options))
    assert told["usage"]["input_tokens"] == tokens + count_messages([user("")])


async def test_an_address_is_not_loaded(raw: httpx.AsyncClient) -> None:
    told = await ask(raw, image("https://www.example.com/a.png"))
    assert "www.example.com" in answer_of(told)
    assert told["usage"]["input_tokens"] > 1280


SMALL = data_url(picture("PNG", 20, 20))


@pytest.mark.parametrize(
    ("url", "options", "code", "param"),
    [
        ("", {}, "InvalidImageURL.EmptyURL", ""),
        (None, {}, "InvalidImageURL.EmptyURL", ""),
        ("data:image/png;base64,", {}, "InvalidImageURL.InvalidFormat", ""),
        ("data:image/png;base64,%%%%", {}, "InvalidImageURL.InvalidFormat", ""),
        ("data:image/png,abcd", {}, "InvalidImageURL.InvalidFormat", ""),
        ("file:///etc/passwd", {}, "InvalidImageURL.InvalidFormat", ""),
        ("https://picture.invalid/a.png", {}, "InvalidParameter", ""),
        (data_url(picture("PNG", 20, 20), "image/jpeg"), {},
         "InvalidParameter.UnsupportedImageFormat", "image_url"),
        (data_url(picture("JPEG", 20, 20), "image/jpg"), {},
         "InvalidParameter.UnsupportedImageFormat", "image_url"),
        (data_url(picture("PNG", 20, 20), "IMAGE/PNG"), {},
         "InvalidParameter.UnsupportedImageFormat", "image_url"),
        (data_url(b"<html>"), {}, "InvalidParameter.UnsupportedImageFormat", "image_url"),
        (data_url(png_header(14, 20)), {}, "InvalidParameter", "image_url"),
        (data_url(png_header(6001, 6000)), {}, "InvalidParameter.OversizeImage", "image_url"),
        (data_url(png_header(20, 20) + b"\0" * 10_000_000), {},
         "InvalidParameter.OversizeImage", "image_url"),
        (data_url(png_header(3016, 20)), {}, "InvalidParameter", "image_url"),
        (SMALL, {"detail": "ultra"}, "InvalidArgumentError.InvalidImageDetail", ""),
        (SMALL, {"image_pixel_limit": {"max_pixels": 0}},
         "InvalidArgumentError.InvalidPixelLimit", ""),
    ],
    ids=range(17),
)  # fmt: skip
async def test_refuses(
    raw: httpx.AsyncClient, url: Any, options: dict, code: str, param: str
) -> None:
    error = (await ask(raw, image(url, **options)))["error"]
    assert (error["code"], error["param"], error["type"]) == (code, param, "BadRequest")
    part = {"type": "image_url", "image_url": {"url": url, **options}}
    assert (await chat(raw, user([part])))["error"]["code"] == code


@pytest.mark.parametrize("size", [(15, 15), (6000, 6000), (3000, 20)])
async def test_takes_what_is_just_allowed(raw: httpx.AsyncClient, size: tuple[int, int]) -> None:
    assert "PNG" in answer_of(await ask(raw, image(data_url(png_header(*size)))))


async def test_reads_a_pdf(raw: httpx.AsyncClient) -> None:
    url = data_url(PDF, "application/pdf")
    part = {"type": "input_file", "file_data": url, "filename": "report.pdf"}
    told = await ask(raw, part, text("Sum it up"))
    assert f"the PDF “report.pdf”, {len(PDF)} bytes, about 2 pages" in answer_of(told)
    assert told["usage"]["input_tokens"] == 2_000 + count_messages([user("Sum it up")])
    inner = {"file_data": url, "filename": "报告.pdf"}
    parts = [{"type": "file", "file": inner}, {"type": "text", "text": "总结一下"}]
    assert "PDF 文件“报告.pdf”" in answer_of(await chat(raw, user(parts)))


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"filename": None}, "filename"),
        ({"file_data": None}, "file_data"),
        ({"file_data": "JVBERi0="}, "file_data"),
        ({"file_data": data_url(PDF, "application/msword")}, "file_data"),
        ({"file_data": data_url(b"hello", "application/pdf")}, "file_data"),
        ({"file_data": None, "file_url": "report.pdf"}, "file_url"),
    ],
)
async def test_refuses_other_files(raw: httpx.AsyncClient, change: dict, param: str) -> None:
    part = {
        "type": "input_file",
        "file_data": data_url(PDF, "application/pdf"),
        "filename": "a.pdf",
    }
    error = (await ask(raw, {**part, **change}))["error"]
    assert error["param"] == param


@pytest.mark.parametrize("part", [image(SMALL), {"type": "input_file", "file_url": "https://x"}])
async def test_some_models_read_only_text(raw: httpx.AsyncClient, part: dict) -> None:
    error = (await ask(raw, part, model="glm-5-2-260617"))["error"]
    assert error["code"] == "InvalidParameter"
    assert error["message"].startswith("Model only support text input.")


async def test_pictures_count_again_in_every_round(raw: httpx.AsyncClient, ark: FakeArk) -> None:
    url = data_url(png_header(4200, 420))
    one = await ask(raw, image(url), text("What is it?"))
    two = await respond(raw, "echo: two", previous_response_id=one["id"])
    three = await respond(raw, "那张图片呢？", previous_response_id=two["id"])
    assert all(told["usage"]["input_tokens"] > 1_000 for told in (one, two, three))
    assert "4200×420" in answer_of(three)
    (item,) = (await raw.get(f"/responses/{one['id']}/input_items")).json()["data"]
    assert item["content"][0]["image_url"] == url


async def test_contexts_read_only_text(raw: httpx.AsyncClient) -> None:
    made = await raw.post("/context/create", json={"model": "ep-x", "messages": [user("a")]})
    part = {"type": "image_url", "image_url": {"url": SMALL}}
    body = {"model": "ep-x", "context_id": made.json()["id"], "messages": [user([part])]}
    refused = await raw.post("/context/chat/completions", json=body)
    assert refused.json()["error"]["message"].startswith("Model only support text input.")
