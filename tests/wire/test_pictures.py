"""What the model gets of pictures and PDF files, by each API, and what was reserved for it."""

import base64

import pytest

from chatbot.files.pictures import read_picture
from chatbot.storage.attachments import Stored
from chatbot.storage.turn_values import Send
from chatbot.turns.prompt import OLD_FILES
from tests import uploads
from tests.conftest import finished

pytestmark = pytest.mark.anyio

MODEL, BLIND = "doubao-seed-2-1-pro-260915", "glm-5-2-260617"
PATHS = {"responses": "/responses", "chat": "/chat/completions"}


def picture(width=400, height=300, name="sea.jpg") -> Stored:
    read = read_picture(uploads.photo(width, height))
    return Stored("image", read.type, name, read.width, read.height, 0, read.data)


def paper(pages=3, name="plan.pdf") -> Stored:
    return Stored("pdf", "application/pdf", name, 0, 0, pages, uploads.pdf(pages))


def url(file):
    return f"data:{file.type};base64,{base64.b64encode(file.data).decode()}"


async def ask(chat, session, text, *files):
    ids = [(await chat.service.attach(chat.user_id, session, file)).id for file in files]
    turn = await chat.start(session, Send(text, tuple(ids)))
    await finished(turn)
    reply = (await chat.messages(session))[-1]
    assert reply.state == "complete", reply.error
    return reply


def asked(ark, kind):
    """The messages of the newest request, and its whole text."""
    path = PATHS[kind]
    body = [one for one in ark.requests if one.path.endswith(path) and one.status == 200][-1].body
    return body["input" if kind == "responses" else "messages"]


async def test_the_responses_api_gets_them_before_the_words(open_chat, ark):
    sea, plan = picture(), paper()
    async with open_chat(memory="responses", model=MODEL) as chat:
        await ask(chat, await chat.started(), "What is on these?", sea, plan)
    assert asked(ark, "responses")[-1] == {
        "type": "message",
        "role": "user",
        "content": [
            {"type": "input_image", "image_url": url(sea), "detail": "high"},
            {"type": "input_file", "file_data": url(plan), "filename": "plan.pdf"},
            {"type": "input_text", "text": "What is on these?"},
        ],
    }


async def test_chat_completions_get_them_before_the_words(open_chat, ark):
    sea = picture()
    async with open_chat(memory="chat", model=MODEL) as chat:
        await ask(chat, await chat.started(), "What is on it?", sea)
    assert asked(ark, "chat")[-1] == {
        "role": "user",
        "content": [
            {"type": "image_url", "image_url": {"url": url(sea), "detail": "high"}},
            {"type": "text", "text": "What is on it?"},
        ],
    }


@pytest.mark.parametrize("kind", ["responses", "chat"])
async def test_a_question_without_words_has_no_empty_part(open_chat, ark, kind):
    async with open_chat(memory=kind, model=MODEL) as chat:
        await ask(chat, await chat.started(), "", picture())
    [part] = asked(ark, kind)[-1]["content"]
    assert "image" in part["type"]


async def test_a_memory_keeps_a_picture_and_a_rebuilt_one_gets_it_again(open_chat, ark):
    sea = picture()
    async with open_chat(memory="responses", model=MODEL) as chat:
        session = await chat.started()
        await ask(chat, session, "What is on it?", sea)
        await ask(chat, session, "And its size?")
        assert "data:" not in str(asked(ark, "responses")), "Ark still has it"
        ark.responses.clear()
        await ask(chat, session, "And its color?")
        told = asked(ark, "responses")
        assert [line["role"] for line in told if line["role"] != "system"][:2] == [
            "user", "assistant",
        ]  # fmt: skip
        assert url(sea) in str(told)


async def test_of_many_old_pictures_the_newest_are_sent_and_the_others_named(open_chat, ark):
    async with open_chat(memory="chat", model=MODEL, history_tokens=200_000) as chat:
        session = await chat.started()
        for number in range(OLD_FILES + 2):
            await ask(chat, session, f"What is {number}?", picture(40, 30, f"{number}.jpg"))
        await ask(chat, session, "Compare them")
    questions = [line for line in asked(ark, "chat") if line["role"] == "user"]
    assert [isinstance(line["content"], list) for line in questions] == [
        *[False] * 2, *[True] * OLD_FILES, False,
    ]  # fmt: skip
    assert questions[0]["content"] == "What is 0?\n[image: 0.jpg]"


async def test_a_model_that_reads_none_gets_old_pictures_by_name(open_chat, ark):
    async with open_chat(memory="auto", model=f"{MODEL}, {BLIND}") as chat:
        session = await chat.started()
        await ask(chat, session, "What is on it?", picture())
        await chat.service.choose(chat.user_id, session, {"model": BLIND})
        await ask(chat, session, "Tell me again")
    body = [one for one in ark.requests if one.status == 200][-1].body
    assert body["model"] == BLIND
    assert "data:image" not in str(body)
    assert "[image: sea.jpg]" in str(body)


@pytest.mark.parametrize("kind", ["responses", "chat"])
@pytest.mark.parametrize("files", [
    [picture(20, 20)],
    [picture(400, 300)],
    [picture(1600, 1600)],
    [picture(1600, 1000), picture(1000, 1600), picture(1500, 20)],
    [paper(1)],
    [paper(30), picture(800, 600)],
], ids=["tiny", "small", "large", "several", "a page", "a paper and a picture"])  # fmt: skip
async def test_ark_never_counts_more_than_was_reserved(open_chat, ark, monkeypatch, kind, files):
    if kind == "chat":
        files = [file for file in files if file.kind == "image"] or [picture()]
    async with open_chat(memory=kind, model=MODEL, history_tokens=200_000) as chat:
        most, reserve = [], chat.purse.reserve

        def reserved(turn, calls, before=()):
            most.append(chat.purse.budget.numbers(turn.model, calls).prompt_tokens)
            reserve(turn, calls, before)

        monkeypatch.setattr(chat.purse, "reserve", reserved)
        session = await chat.started()
        for number in range(3):
            more = files if number < 2 else []
            reply = await ask(chat, session, "What is on these?", *more)
            assert 0 < reply.prompt_tokens <= most[-1]
            if number == 1:
                # The last one is built anew, with what was asked before.
                ark.responses.clear()
