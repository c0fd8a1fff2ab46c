"""The Files API and the tokenizer of the local Ark, through the real SDK."""

import io
from typing import Any

import httpx
import pytest
from PIL import Image
from volcenginesdkarkruntime import AsyncArk
from volcenginesdkarkruntime._exceptions import (
    ArkBadRequestError,
    ArkNotFoundError,
    ArkPermissionDeniedError,
)

from chatbot.ark.offline import count_tokens
from tests.fake_ark import FakeArk
from tests.wire.arks import MODEL, answer_of, respond, user

pytestmark = pytest.mark.anyio

PDF = b"%PDF-1.7\n<</Type /Page>>\n%%EOF"


async def upload(client: AsyncArk, content: bytes = PDF, **options: Any) -> Any:
    return await client.files.create(file=("report.pdf", content), purpose="user_data", **options)


async def test_a_file_is_ready_after_two_polls(client: AsyncArk) -> None:
    made = await upload(client)
    assert (made.object, made.status, made.bytes) == ("file", "processing", len(PDF))
    assert made.expire_at == made.created_at + 7 * 86_400
    assert (await client.files.retrieve(made.id)).status == "processing"
    ready = await client.files.retrieve(made.id)
    assert (ready.status, ready.mime_type, ready.filename) == (
        "active", "application/pdf", "report.pdf",
    )  # fmt: skip


async def test_a_file_of_another_type_fails(client: AsyncArk) -> None:
    made = await upload(client, b"hello")
    await client.files.retrieve(made.id)
    failed = await client.files.retrieve(made.id)
    assert (failed.status, failed.error.code) == ("failed", "InvalidParameter")


async def test_a_message_can_name_a_file(client: AsyncArk, raw: httpx.AsyncClient) -> None:
    file = io.BytesIO()
    Image.new("RGB", (40, 30)).save(file, "PNG")
    for content, kind, words in ((PDF, "input_file", "report.pdf"), (
        file.getvalue(), "input_image", "40 by 30")):  # fmt: skip
        made = await upload(client, content)
        part = {"type": kind, "file_id": made.id}
        with pytest.raises(ArkPermissionDeniedError) as busy:
            await client.responses.create(model=MODEL, input=[user([part])])
        assert busy.value.code == "OperationDenied.InvalidState"
        for _ in range(2):
            await client.files.retrieve(made.id)
        assert words in answer_of(await respond(raw, [user([part])]))
    part["file_id"] = "file-gone"
    with pytest.raises(ArkNotFoundError):
        await client.responses.create(model=MODEL, input=[user([part])])


async def test_lists_and_deletes(client: AsyncArk, raw: httpx.AsyncClient) -> None:
    made = [(await upload(client)).id for _ in range(3)]
    page = (await raw.get("/files", params={"limit": 2})).json()
    assert page["object"] == "file"
    assert [file["id"] for file in page["data"]] == made[:0:-1]
    assert (page["first_id"], page["last_id"], page["has_more"]) == (made[2], made[1], True)
    rest = (await raw.get("/files", params={"after": made[1]})).json()
    assert ([file["id"] for file in rest["data"]], rest["has_more"]) == (made[:1], False)
    assert (await raw.get("/files", params={"limit": 101})).status_code == 400
    assert (await client.files.delete(made[0])).deleted
    with pytest.raises(ArkNotFoundError):
        await client.files.retrieve(made[0])


async def test_files_expire(client: AsyncArk, ark: FakeArk) -> None:
    made = await upload(client, expire_at=int(ark.clock.now()) + 86_460)
    await client.files.retrieve(made.id)
    ark.clock.advance(86_500)
    with pytest.raises(ArkNotFoundError):
        await client.files.retrieve(made.id)


@pytest.mark.parametrize("options", [{"expire_at": 5}, {"purpose": "batch"}])
async def test_refuses(client: AsyncArk, options: dict) -> None:
    with pytest.raises(ArkBadRequestError):
        await client.files.create(file=("a.pdf", PDF), **{"purpose": "user_data", **options})


async def test_a_form_without_a_file_is_refused(raw: httpx.AsyncClient) -> None:
    answer = await raw.post("/files", data={"purpose": "user_data"})
    assert answer.json()["error"]["code"] in ("MissingParameter", "InvalidParameter")
    broken = {"content-type": "multipart/form-data"}
    answer = await raw.post("/files", content=b"--x", headers=broken)
    assert answer.status_code == 400


async def test_counts_tokens(client: AsyncArk) -> None:
    told = await client.tokenization.create(model=MODEL, text=["hello world", "你好"])
    assert [(one.index, one.total_tokens) for one in told.data] == [
        (0, count_tokens("hello world")), (1, count_tokens("你好")),
    ]  # fmt: skip
    assert told.data[0].offset_mapping == [[0, 5], [5, 11]]
    with pytest.raises(ArkBadRequestError):
        await client.tokenization.create(model=MODEL, text=[1])
