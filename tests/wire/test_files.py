"""Uploads over HTTP, on SQLite and PostgreSQL: who may do what, the limits, and what is stored."""

import base64
import shutil
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from chatbot.bootstrap import App, create_app
from chatbot.config import Settings
from chatbot.errors import AttachmentNotFound, PicturesNotRead, TooManyAttachments
from chatbot.storage.attachments import Stored
from chatbot.storage.tables import Attachment, User
from chatbot.ui.cookies import NAME as COOKIE
from chatbot.ui.guard import Guard
from chatbot.ui.pace import Pace
from tests import uploads
from tests.conftest import finished
from tests.discretion import PASSWORD

pytestmark = pytest.mark.anyio

FILES = "/gradio_api/chatbot/files"
PICTURE = uploads.photo()
NUMBERS = count(1)


@dataclass
class Site:
    """The app without Gradio, behind its guard, with Ann and Bob."""

    app: App
    tokens: dict[str, str]
    ids: dict[str, int]
    session: str

    def client(self, name: str = "ann", **headers: str) -> httpx.AsyncClient:
        cookies = {COOKIE: self.tokens[name]} if name else {}
        served = Guard(Starlette(routes=self.app.routes), self.app.rules)
        transport = httpx.ASGITransport(served, client=("192.0.2.1", 1))
        return httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1", cookies=cookies, headers=headers
        )

    async def upload(
        self, content: bytes = PICTURE, name: str = "a.jpg", who: str = "ann", **headers: str
    ) -> httpx.Response:
        told = {"X-Session": self.session, "X-Name": quote(name), **headers}
        async with self.client(who) as client:
            return await client.post(FILES, content=content, headers=told)

    async def uploaded(self, content: bytes = PICTURE, name: str = "a.jpg") -> str:
        answer = await self.upload(content, name)
        assert answer.is_success, answer.text
        return str(answer.json()["id"])

    async def ask(self, text: str, *files: str) -> Any:
        """The question and the reply, when it has ended."""
        service, ann = self.app.service, self.ids["ann"]
        started = await service.send(ann, self.session, text, files)
        turn = self.app.runner.writing(ann, started.reply_id)
        if turn is not None:
            await finished(turn)
        return (await service.open(ann, self.session, 10)).messages[-2:]

    async def rows(self) -> list[Any]:
        people = list(self.ids.values())
        found = Attachment.select().where(Attachment.user.in_(people))
        return await self.app.storage.read(lambda: list(found))


@asynccontextmanager
async def running(database_url, max_files=4):
    settings = Settings(
        ark_api_key=None, database_url=database_url, registration="open", bcrypt_cost=4,
        max_file_mb=1, max_pdf_pages=5, max_files=max_files,
    )  # fmt: skip
    app = create_app(settings, pace=0)
    app.runner.open()
    yield app
    await app._stop()
    app.close()


async def entered(app):
    """New people in this app."""
    number = next(NUMBERS)
    tokens = {
        name: await app.accounts.register(f"{name} {number}", PASSWORD, "", f"192.0.2.{number}")
        for name in ("ann", "bob")
    }
    people = {name: await app.accounts.person(token) for name, token in tokens.items()}
    ids = {name: person.id for name, person in people.items()}
    session = await app.service.start_conversation(ids["ann"])
    return Site(app, tokens, ids, session)


@pytest.fixture(scope="module")
def anyio_backend():
    """One event loop for all tests, because one app is for most of them."""
    return "asyncio"


@pytest.fixture(scope="module")
async def shared_app(empty_file, tmp_path_factory):
    copy = shutil.copy(empty_file, tmp_path_factory.mktemp("files") / "chat.db")
    async with running(f"sqlite:///{copy}") as app:
        yield app


@pytest.fixture
async def site(shared_app):
    return await entered(shared_app)


@pytest.fixture
async def own_site(database_url):
    """In an app of its own, for who changes it."""
    async with running(database_url) as app:
        yield await entered(app)


@pytest.fixture
async def each_site(each_database_url):
    """In an app of its own on SQLite, then on PostgreSQL."""
    async with running(each_database_url) as app:
        yield await entered(app)


def in_file(database_url, words):
    """Whether these stand in the files of a SQLite database; True on PostgreSQL."""
    path = database_url.removeprefix("sqlite:///")
    if path == database_url:
        return True
    return any(words in Path(name).read_bytes() for name in (path, f"{path}-wal"))


def code(answer):
    return answer.status_code, answer.json()["error"]["code"]


async def test_a_picture_is_told_and_shown_to_its_owner_alone(each_site):
    site = each_site
    told = (await site.upload(name="我的 照片.jpg")).json()
    assert {**told, "id": "", "size": 0} == {
        "id": "", "kind": "image", "name": "我的 照片.jpg", "width": 400, "height": 300,
        "pages": 0, "size": 0,
    }  # fmt: skip
    address = f"{FILES}/{told['id']}"
    async with site.client() as client:
        shown = await client.get(address)
        assert len(shown.content) == told["size"]
    assert shown.status_code == 200
    assert b"Ann Secret" not in shown.content
    headers = shown.headers
    assert headers["content-type"] == "image/jpeg"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"].startswith("sandbox; default-src 'none';")
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cache-control"] == "private, max-age=2592000, immutable"
    assert headers["vary"] == "Cookie"
    assert headers["content-disposition"] == (
        f"inline; filename=\"__ __.jpg\"; filename*=UTF-8''{quote('我的 照片.jpg')}"
    )
    for name, refused in (("bob", (404, "attachment_not_found")), ("", (401, "not_logged_in"))):
        async with site.client(name) as client:
            answer = await client.get(address)
            assert code(answer) == refused
            assert answer.headers["cache-control"] == "no-store"
            await client.delete(address)
    assert len(await site.rows()) == 1, "nobody else has removed it"


async def test_a_pdf_is_saved_not_shown(site):
    told = (await site.upload(uploads.pdf(3), 'a "plan".pdf')).json()
    assert (told["kind"], told["pages"]) == ("pdf", 3)
    async with site.client() as client:
        shown = await client.get(f"{FILES}/{told['id']}")
    assert shown.content == uploads.pdf(3)
    assert shown.headers["content-type"] == "application/pdf"
    assert shown.headers["content-disposition"].startswith('attachment; filename="a _plan_.pdf"')


@pytest.mark.parametrize("name", ["\r\nSet-Cookie: a=b", "", "%ff%fe", "x" * 1000, 'a";b="c'])
async def test_no_name_breaks_a_header(site, name):
    one = await site.uploaded(name=name)
    async with site.client() as client:
        shown = await client.get(f"{FILES}/{one}")
    assert shown.status_code == 200
    assert "set-cookie" not in shown.headers
    assert shown.headers["content-disposition"].count('"') == 2


async def test_without_a_login_nothing_of_an_upload_is_read(site):
    read = []

    async def content():
        read.append(True)
        yield PICTURE

    async with site.client("") as client:
        answer = await client.post(FILES, content=content())
    assert code(answer) == (401, "not_logged_in")
    assert read == []


async def test_the_guard_alone_keeps_uploads_without_a_login_out(site):
    reached = []

    async def behind(request):
        reached.append(await request.body())
        return Response()

    served = Guard(Starlette(routes=[Route(FILES, behind, methods=["POST"])]), site.app.rules)
    transport = httpx.ASGITransport(served, client=("192.0.2.1", 1))
    for name, many in (("", 0), ("ann", 1)):
        cookies = {COOKIE: site.tokens[name]} if name else {}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1", cookies=cookies
        ) as client:
            await client.post(FILES, content=PICTURE)
        assert reached == [PICTURE] * many


async def test_a_file_goes_into_the_users_own_sessions_only(site):
    assert code(await site.upload(who="bob")) == (404, "conversation_not_found")
    nowhere = await site.upload(**{"X-Session": "nonsense"})
    assert code(nowhere) == (404, "conversation_not_found")
    assert await site.rows() == []


@pytest.mark.parametrize("declared", [True, False])
async def test_an_upload_is_bounded_whatever_length_it_declares(site, declared):
    sent = 0

    async def pieces():
        nonlocal sent
        for _ in range(100):
            sent += 1
            yield b"\0" * (100 * 1024)

    headers = {"X-Session": site.session, "X-Name": "a"}
    content = b"\0" * (1024 * 1024 + 1) if declared else pieces()
    async with site.client() as client:
        answer = await client.post(FILES, content=content, headers=headers)
    assert code(answer) == (413, "file_too_large")
    assert "1 MB" in answer.json()["error"]["message"]
    assert "5 pages" in answer.json()["error"]["message"]
    assert answer.headers["connection"] == "close"
    assert sent < 20


@pytest.mark.parametrize(("content", "refused"), [
    (uploads.SVG, (400, "file_not_read")),
    (b"", (400, "file_not_read")),
    (uploads.pdf(1, password="x"), (400, "file_not_read")),
    (uploads.pdf(6), (413, "file_too_large")),
    (uploads.bomb(), (413, "file_too_large")),
], ids=["svg", "empty", "encrypted", "long", "bomb"])  # fmt: skip
async def test_what_cannot_be_read_is_refused_with_a_sentence(site, content, refused):
    answer = await site.upload(content, "picture.png")
    assert code(answer) == refused
    assert await site.rows() == []


CROSS_SITE = (403, "cross_site")


async def test_other_sites_can_neither_upload_nor_embed(site):
    one = await site.uploaded()
    for headers in (
        {"Origin": "https://evil.test"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        assert code(await site.upload(**headers)) == CROSS_SITE
        async with site.client(**headers) as client:
            assert code(await client.get(f"{FILES}/{one}")) == CROSS_SITE
            assert code(await client.delete(f"{FILES}/{one}")) == CROSS_SITE
    assert len(await site.rows()) == 1


async def test_a_file_is_a_picture_or_a_page_and_nothing_else_is(site):
    one = await site.uploaded()
    own = {"Sec-Fetch-Site": "same-origin"}
    async with site.client(**own) as client:
        for wanted in ("image", "document", "empty"):
            shown = await client.get(f"{FILES}/{one}", headers={"Sec-Fetch-Dest": wanted})
            assert shown.status_code == 200, wanted
        for wanted in ("script", "iframe", "object", "embed", "style", "video"):
            refused = await client.get(f"{FILES}/{one}", headers={"Sec-Fetch-Dest": wanted})
            assert code(refused) == CROSS_SITE, wanted
        me = await client.get("/gradio_api/chatbot/me", headers={"Sec-Fetch-Dest": "image"})
        assert code(me) == CROSS_SITE


@pytest.mark.parametrize(("method", "path"), [
    ("GET", FILES), ("PUT", FILES), ("GET", f"{FILES}/"), ("GET", f"{FILES}/nonsense"),
    ("POST", f"{FILES}/0f9c2f0e-3b1e-4a9e-8f57-1f2f3c4d5e6f"),
    ("GET", f"{FILES}/0f9c2f0e-3b1e-4a9e-8f57-1f2f3c4d5e6f/x"),
    ("GET", f"{FILES}/..%2fme"), ("POST", "/gradio_api/upload"),
])  # fmt: skip
async def test_no_other_address_of_files_is_open(site, method, path):
    async with site.client() as client:
        assert code(await client.request(method, path)) == (404, "no_such_address")


async def test_a_person_sends_only_so_many_files_at_once(own_site):
    site = own_site
    object.__setattr__(site.app.rules, "upload_pace", Pace(burst=3, per_second=0.01))
    statuses = [(await site.upload(b"x")).status_code for _ in range(4)]
    assert statuses == [400, 400, 400, 429]
    await site.app.service.start_conversation(site.ids["bob"])
    assert (await site.upload(who="bob")).status_code == 404, "others are not concerned"


async def test_only_so_many_files_wait_in_a_session(each_site):
    site = each_site
    object.__setattr__(site.app.rules, "upload_pace", Pace(burst=1000, per_second=1000))
    small = uploads.picture(20, 20)
    sent = [await site.uploaded(small)]
    async with site.client() as client:
        copied = (await client.get(f"{FILES}/{sent[0]}")).content
    # The same file again, without reading it: what counts is how many wait.
    file = Stored("image", "image/png", "a.png", 20, 20, 0, copied)
    for _ in range(19):
        sent.append((await site.app.service.attach(site.ids["ann"], site.session, file)).id)
    sent += [await site.uploaded(small), await site.uploaded(small)]
    async with site.client() as client:
        # A page that was loaded again does not show them: the oldest make room.
        found = [(await client.get(f"{FILES}/{one}")).status_code for one in sent]
    assert found == [404] * 2 + [200] * 20


async def test_a_file_is_removed_until_it_is_sent(each_site):
    site = each_site
    first, second = await site.uploaded(), await site.uploaded()
    async with site.client() as client:
        for _ in range(2):
            assert (await client.delete(f"{FILES}/{first}")).status_code == 200
        assert (await client.get(f"{FILES}/{first}")).status_code == 404
        await site.ask("What is this?", second)
        await client.delete(f"{FILES}/{second}")
        assert (await client.get(f"{FILES}/{second}")).status_code == 200


async def test_a_file_is_sent_once_and_in_its_order(each_site):
    site = each_site
    files = [await site.uploaded(name=name) for name in ("b.jpg", "a.jpg")]
    question, reply = await site.ask("", *files)
    assert [file.name for file in question.files] == ["b.jpg", "a.jpg"]
    assert (question.content, reply.state) == ("", "complete")
    entry = await site.app.service.entry(site.ids["ann"], site.session)
    assert entry.title == "b.jpg", "there are no words to call it by"
    with pytest.raises(AttachmentNotFound):
        await site.ask("Again", files[0])
    assert len((await site.app.service.open(site.ids["ann"], site.session, 10)).messages) == 2


async def test_a_message_has_at_most_so_many_files(site):
    files = [await site.uploaded(uploads.picture(20, 20)) for _ in range(5)]
    with pytest.raises(TooManyAttachments):
        await site.ask("All of them", *files)
    question, _ = await site.ask("Four of them", *files[:4])
    assert len(question.files) == 4


async def test_a_model_that_reads_no_pictures_stores_nothing(each_site):
    site = each_site
    one = await site.uploaded()
    service, ann = site.app.service, site.ids["ann"]
    await service.choose(ann, site.session, {"model": "ep-offline-context"})
    with pytest.raises(PicturesNotRead):
        await site.ask("What is this?", one)
    assert (await service.open(ann, site.session, 10)).messages == []
    await service.choose(ann, site.session, {"model": "ep-offline-responses"})
    question, _ = await site.ask("What is this?", one)
    assert question.files[0].id == one


async def test_an_edit_keeps_the_files(each_site):
    site = each_site
    one = await site.uploaded()
    question, _ = await site.ask("What is this?", one)
    service, ann = site.app.service, site.ids["ann"]
    started = await service.edit(ann, site.session, question.id, "And this?")
    turn = site.app.runner.writing(ann, started.reply_id)
    if turn is not None:
        await finished(turn)
    edited, _ = (await service.open(ann, site.session, 10)).messages
    assert edited.content == "And this?"
    assert [file.name for file in edited.files] == ["a.jpg"]
    async with site.client() as client:
        again = await client.get(f"{FILES}/{edited.files[0].id}")
    assert again.status_code == 200


async def test_exports_hold_the_files(each_site):
    site = each_site
    content = uploads.pdf(2)
    sent, waits = await site.uploaded(content, "plan.pdf"), await site.uploaded(name="later.jpg")
    await site.ask("Read this", sent)
    async with site.client() as client:
        everything = (await client.post("/gradio_api/chatbot/export-all")).json()
        one = await client.post("/gradio_api/chatbot/export", json={"session": site.session})
    [session] = everything["sessions"]
    question, reply = session["messages"]
    [file] = question["files"]
    assert file | {"created_at": ""} == {
        "id": sent, "kind": "pdf", "name": "plan.pdf", "type": "application/pdf", "width": 0,
        "height": 0, "pages": 2, "created_at": "",
        "base64": base64.b64encode(content).decode(),
    }  # fmt: skip
    assert reply["files"] == []
    assert [file["id"] for file in session["unsent_files"]] == [waits]
    assert "[plan.pdf]" in one.json()["text"]
    assert "later.jpg" not in one.json()["text"]


@pytest.mark.parametrize("what", ["session", "account"])
async def test_a_deletion_takes_the_files_with_it(each_site, what, each_database_url):
    site = each_site
    secret = b"%PDF secret of Ann " * 400
    content = uploads.pdf(1) + b"\n%" + secret
    sent, _ = await site.uploaded(content), await site.uploaded(content)
    await site.ask("Read this", sent)
    assert len(await site.rows()) == 2
    assert in_file(each_database_url, b"secret of Ann")
    if what == "session":
        await site.app.service.delete(site.ids["ann"], site.session)
    else:
        async with site.client() as client:
            answer = await client.post(
                "/gradio_api/chatbot/delete-account", json={"password": PASSWORD}
            )
            assert answer.is_success
        assert not await site.app.storage.read(User.get_or_none, User.id == site.ids["ann"])
    assert await site.rows() == []
    if each_database_url.startswith("sqlite"):
        assert not in_file(each_database_url, b"secret of Ann")


async def test_a_search_looks_in_no_file(each_site):
    site = each_site
    # The local Ark tells the name of a PDF in its answer, but not that of a picture.
    one = await site.uploaded(uploads.photo(), "budget.jpg")
    await site.ask("Read this", one)
    found = await site.app.service.list_conversations(site.ids["ann"], "budget")
    assert found == []


async def test_an_owner_can_want_no_files(database_url):
    async with running(database_url, max_files=0) as app:
        site = await entered(app)
        assert code(await site.upload()) == (400, "too_many_attachments")
