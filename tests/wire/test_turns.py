"""Turns through the real SDK and a local Ark, on SQLite and PostgreSQL: what is shown, stored and
remembered."""

import asyncio
import itertools
import json

import pytest

from chatbot.ark.offline import count_messages, count_tokens
from chatbot.errors import (
    ChangedElsewhere,
    ConversationNotFound,
    EmptyMessage,
    MessageTooLong,
    TooManyTurns,
    TurnRunning,
)
from chatbot.storage import erase
from chatbot.storage.tables import Conversation, Message, State, Turn
from tests.conftest import finished, grown
from tests.fake_ark import Fault

pytestmark = pytest.mark.anyio


@pytest.fixture
def database_url(each_database_url):
    return each_database_url


async def recalled(chat, conversation_id):
    """What the model was given before this question, from the local Ark's own mouth."""
    reply = await chat.ask(conversation_id, "recall")
    return [tuple(line) for line in json.loads(reply.content)]


async def test_a_question_is_answered_stored_and_remembered(chat, ark):
    one = await chat.started()
    reply = await chat.ask(one, "echo: Hello\n    indented\tand tabbed")
    assert reply.content == "Hello\n    indented\tand tabbed"
    assert reply.state == "complete"
    system, question = {"content": "Be brief."}, {"content": (await chat.messages(one))[0].content}
    # The context is made first, and then asked.
    assert reply.prompt_tokens == count_messages([system]) + count_messages([system, question])
    assert reply.completion_tokens == count_tokens("Hello\n    indented\tand tabbed")
    assert reply.first_token_ms is not None
    assert await recalled(chat, one) == [
        ("system", "Be brief."),
        ("user", "echo: Hello\n    indented\tand tabbed"),
        ("assistant", "Hello\n    indented\tand tabbed"),
    ]
    assert len(ark.contexts) == 1, "the second turn used the context of the first"
    ledger = await chat.storage.read(lambda: list(Turn.select().order_by(Turn.started_at)))
    assert next(row.completion_tokens for row in ledger) == reply.completion_tokens
    assert len(ledger) == 2


async def test_only_the_new_turn_is_sent_to_a_context(chat, ark):
    one = await chat.started()
    await chat.ask(one, "first")
    await chat.ask(one, "second")
    sent = [r.body["messages"] for r in ark.requests if r.path.endswith("context/chat/completions")]
    assert sent == [
        [{"role": "user", "content": "first"}],
        [{"role": "user", "content": "second"}],
    ]


async def test_the_reply_grows_in_the_database_and_ends_there(chat, ark):
    ark.fail_next(Fault.silence(after=3))
    one = await chat.started()
    turn = await chat.send(one, "count 20")
    await grown(turn, 3)
    async with asyncio.timeout(10):
        while not (stored := (await chat.messages(one))[-1]).content:
            await asyncio.sleep(0.05)
    assert stored.state == "streaming"
    assert turn.text.startswith(stored.content)
    await chat.service.stop(chat.user_id, one)
    await finished(turn)


async def test_stop_keeps_the_text_and_ends_the_request(chat, ark):
    ark.fail_next(Fault.silence(after=4))
    one = await chat.started()
    turn = await chat.send(one, "count 50")
    await grown(turn, 4)
    await chat.service.stop(chat.user_id, one)
    await finished(turn)
    stored = (await chat.messages(one))[-1]
    assert stored.state == "stopped"
    assert stored.content == turn.text != ""
    request = ark.requests[-1]
    async with asyncio.timeout(10):
        while not request.disconnected:
            await asyncio.sleep(0.01)


async def test_after_a_stop_the_memory_is_what_the_page_shows(chat, ark):
    ark.fail_next(Fault.silence(after=4))
    one = await chat.started()
    turn = await chat.send(one, "count 50")
    await grown(turn, 4)
    await chat.service.stop(chat.user_id, one)
    await finished(turn)
    shown = [(m.role, m.content) for m in await chat.messages(one)]
    assert await recalled(chat, one) == [("system", "Be brief."), *shown]


@pytest.mark.parametrize("shape", ["not_found", "previous_response", "previous_response_param"])
async def test_a_lost_context_is_rebuilt_once_from_the_stored_messages(chat, ark, shape):
    ark.lost_shape = shape
    one = await chat.started()
    await chat.ask(one, "echo: one")
    shown = [(m.role, m.content) for m in await chat.messages(one)]
    for context_id in list(ark.contexts):
        ark.forget(context_id)
    reply = await chat.ask(one, "recall")
    assert [tuple(line) for line in json.loads(reply.content)] == [("system", "Be brief."), *shown]
    assert reply.notes == ("memory_rebuilt",)
    assert len(ark.contexts) == 1


async def test_a_context_known_to_have_expired_is_not_asked(chat, ark):
    one = await chat.started()
    await chat.ask(one, "echo: one")
    await chat.storage.write(lambda: Conversation.update(memory_expires_at=1000).execute())
    ark.clock.advance(3601)
    before = len(ark.requests)
    reply = await chat.ask(one, "recall")
    assert json.loads(reply.content)[1:] == [["user", "echo: one"], ["assistant", "one"]]
    assert [r.path.rpartition("/")[2] for r in ark.requests[before:]] == ["create", "completions"]
    assert all(r.status == 200 for r in ark.requests[before:])


async def test_a_context_is_kept_alive_by_use(chat, ark):
    one = await chat.started()
    await chat.ask(one, "echo: one")
    for _ in range(3):
        ark.clock.advance(3000)
        await chat.ask(one, "echo: more")
    assert len(ark.contexts) == 1


async def test_a_restart_forgets_nothing(open_chat, ark):
    async with open_chat() as first:
        one = await first.started()
        await first.ask(one, "echo: one")
    async with open_chat() as second:
        assert [m.content for m in await second.messages(one)] == ["echo: one", "one"]
        assert (await recalled(second, one))[1:] == [("user", "echo: one"), ("assistant", "one")]
    assert len(ark.contexts) == 1, "the context of before the restart was used again"


async def test_a_turn_that_got_no_answer_gives_up_its_place(chat, ark):
    one = await chat.started()
    await chat.ask(one, "echo: one")
    ark.fail_next(Fault.http(400, "InvalidParameter"))
    failed = await chat.ask(one, "lost question")
    assert (failed.state, failed.error) == ("failed", "bad_request")
    assert [m.content for m in await chat.messages(one)][-2:] == ["lost question", ""]
    assert (await recalled(chat, one))[1:] == [("user", "echo: one"), ("assistant", "one")]
    kept = await chat.storage.read(
        lambda: [m.content for m in Message.select().where(Message.role == "user")]
    )
    assert "lost question" in kept, "nothing typed is thrown away"


@pytest.mark.parametrize(
    ("fault", "tries"),
    [
        (Fault.http(429, "ServerOverloaded"), 2),
        (Fault.http(500, "InternalServiceError"), 2),
        (Fault.http(403, "AccountOverdueError"), 1),
    ],
)
async def test_what_passes_by_itself_is_tried_again(chat, ark, monkeypatch, fault, tries):
    monkeypatch.setattr("chatbot.ark.memory.choose.RETRY_SECONDS", 0.01)
    one = await chat.started()
    await chat.ask(one, "echo: one")
    before = len([r for r in ark.requests if r.path.endswith("completions")])
    ark.fail_next(fault)
    reply = await chat.ask(one, "echo: two")
    asked = [r for r in ark.requests if r.path.endswith("completions")][before:]
    assert len(asked) == tries
    assert (reply.content == "two") == (tries == 2)


async def test_a_turn_ark_may_have_taken_is_replayed_on_a_new_context(chat, ark):
    one = await chat.started()
    await chat.ask(one, "echo: one")
    (old,) = ark.contexts
    ark.fail_next(Fault.http(500, "InternalServiceError"))
    await chat.ask(one, "echo: two")
    assert (await recalled(chat, one))[1:] == [
        ("user", "echo: one"), ("assistant", "one"), ("user", "echo: two"), ("assistant", "two"),
    ]  # fmt: skip
    used = [r.body["context_id"] for r in ark.requests if r.path.endswith("completions")]
    assert used[-2:] != [old, old]


async def test_a_reply_that_breaks_off_keeps_its_text(chat, ark):
    ark.fail_next(Fault.drop(after=5))
    one = await chat.started()
    reply = await chat.ask(one, "count 50")
    assert (reply.state, reply.error) == ("interrupted", "stream_broken")
    assert reply.content.startswith("1 2")
    shown = [(m.role, m.content) for m in await chat.messages(one)]
    assert await recalled(chat, one) == [("system", "Be brief."), *shown]


async def test_a_second_question_is_refused_while_a_reply_runs(chat, ark):
    ark.fail_next(Fault.silence(after=2))
    one = await chat.started()
    turn = await chat.send(one, "count 9")
    with pytest.raises(TurnRunning):
        await chat.send(one, "again")
    await chat.service.stop(chat.user_id, one)
    await finished(turn)
    assert len(await chat.messages(one)) == 2


async def test_one_person_has_only_so_many_replies_at_once(chat, ark):
    for _ in range(2):
        ark.fail_next(Fault.silence(after=1))
    turns = []
    for _ in range(2):
        one = await chat.started()
        turns.append(await chat.send(one, "count 9"))
    other = await chat.started()
    with pytest.raises(TooManyTurns):
        await chat.send(other, "third")
    assert await chat.messages(other) == []
    for turn in turns:
        await chat.service.stop(chat.user_id, str(turn.started.conversation_id))
        await finished(turn)


async def test_somebody_elses_conversation_is_not_found(chat):
    one = await chat.started()
    await chat.ask(one, "echo: secret")
    other = await chat.user("eve")
    service = chat.service
    for attempt in (
        service.open(other, one, 30),
        service.send(other, one, "hi"),
        service.stop(other, one),
        service.rename(other, one, "mine"),
        service.delete(other, one),
    ):
        with pytest.raises(ConversationNotFound):
            await attempt
    assert await service.list_conversations(other) == []
    assert len(await chat.messages(one)) == 2


@pytest.mark.parametrize("wrong", ["", "not-an-id", "00000000-0000-0000-0000-000000000000", None])
async def test_an_id_of_nothing_is_not_found(chat, wrong):
    with pytest.raises(ConversationNotFound):
        await chat.send(wrong, "hi")


@pytest.mark.parametrize(
    ("text", "error"),
    [("", EmptyMessage), (" \n\t ", EmptyMessage), ("x" * 20_001, MessageTooLong)],
)
async def test_text_that_cannot_be_sent_stores_nothing(chat, text, error):
    one = await chat.started()
    with pytest.raises(error):
        await chat.send(one, text)
    assert await chat.messages(one) == []


async def test_twenty_thousand_characters_and_any_script_arrive_whole(open_chat):
    async with open_chat(max_output_tokens=60_000) as chat:
        one = await chat.started()
        text = "echo: " + ("表情😀 مرحبا שלום e\u0301 𝔘" * 2000)[:19_990]
        assert (await chat.ask(one, text)).content == text.removeprefix("echo: ")


async def test_an_unused_conversation_is_used_again(chat):
    one = await chat.started()
    assert await chat.started() == one
    await chat.ask(one, "hello there,\nwhat a day")
    two = await chat.started()
    assert two != one
    entries = await chat.service.list_conversations(chat.user_id)
    assert [(e.id, e.title) for e in entries] == [(two, ""), (one, "hello there, what a day")]


async def test_deleting_a_conversation_with_a_running_reply_leaves_nothing(chat, ark):
    ark.fail_next(Fault.silence(after=2))
    one = await chat.started()
    turn = await chat.send(one, "count 9")
    await grown(turn)
    await chat.service.delete(chat.user_id, one)
    await finished(turn)
    with pytest.raises(ConversationNotFound):
        await chat.messages(one)
    assert await chat.storage.read(Message.select().count) == 0


async def test_a_conversation_of_two_thousand_messages_is_deleted(chat):
    one = await chat.started()
    await chat.ask(one, "echo: one")

    def grow() -> None:
        last = Message.select().order_by(Message.id.desc()).get()
        for _ in range(2000):
            last = Message.create(conversation=one, parent=last, role="user", content="x")

    await chat.storage.write(grow)
    await chat.service.delete(chat.user_id, one)
    assert await chat.storage.read(Message.select().count) == 0


async def test_a_turn_that_ends_after_its_deletion_touches_no_other_message(chat, ark):
    ark.fail_next(Fault.silence(after=2))
    one = await chat.started()
    turn = await chat.send(one, "count 9")
    await grown(turn)
    # Another process deletes the conversation.
    await chat.storage.write(erase.conversation, chat.user_id, one)
    other = await chat.started()
    reply = await chat.ask(other, "echo: next")
    assert reply.id > turn.started.reply_id, "no id is given twice"
    turn.stop(State.STOPPED)
    await finished(turn)
    assert (await chat.messages(other))[-1] == reply


async def test_a_turn_nobody_watches_ends(open_chat, ark):
    ark.fail_next(Fault.silence(after=2))
    async with open_chat(orphan_seconds=0.1) as chat:
        one = await chat.started()
        turn = await chat.send(one, "count 9")
        await finished(turn)
        stored = (await chat.messages(one))[-1]
        assert (stored.state, stored.error) == ("interrupted", "orphaned")


async def test_a_turn_that_takes_too_long_is_cut(open_chat, ark):
    ark.fail_next(Fault.silence(after=3))
    async with open_chat(turn_seconds=0.5) as chat:
        one = await chat.started()
        stored = await chat.ask(one, "count 9")
        assert (stored.state, stored.error) == ("length", "turn_timeout")
        assert stored.content.startswith("1")


async def test_silence_ends_the_turn(open_chat, ark):
    ark.fail_next(Fault.silence(after=3))
    async with open_chat(idle_seconds=0.5) as chat:
        one = await chat.started()
        stored = await chat.ask(one, "count 9")
        assert (stored.state, stored.error) == ("interrupted", "ark_silent")


async def test_only_a_reply_that_ended_early_is_continued(chat, ark):
    """Another tab may have continued it to its end already."""
    one = await chat.started()
    whole = await chat.ask(one, "echo: one")
    with pytest.raises(ChangedElsewhere):
        await chat.go_on(one, whole.id)
    ark.fail_next(Fault.drop(after=3))
    part = await chat.ask(one, "count 9")
    await finished(await chat.go_on(one, part.id))
    assert (await chat.messages(one))[-1].state == "complete"
    with pytest.raises(ChangedElsewhere):
        await chat.go_on(one, part.id)


async def test_closing_the_process_saves_what_there_is(open_chat, ark):
    ark.fail_next(Fault.silence(after=3))
    async with open_chat() as chat:
        one = await chat.started()
        turn = await chat.send(one, "count 9")
        await grown(turn, 2)
    async with open_chat() as chat:
        stored = (await chat.messages(one))[-1]
        assert (stored.state, stored.error) == ("interrupted", "server_stopped")
        assert stored.content == turn.text


async def test_followers_see_the_reply_grow_and_end(chat, ark):
    one = await chat.started()
    reply_id = (await chat.send(one, "count 30")).started.reply_id

    async def followed():
        return [s async for s in chat.service.follow(chat.user_id, one, reply_id, 0.01)]

    first, second = await asyncio.gather(followed(), followed())
    for snapshots in (first, second):
        texts = [snapshot.text for snapshot in snapshots]
        assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(texts))
        assert snapshots[-1].done
        assert texts[-1].endswith("30")


async def test_who_watches_in_many_tabs_slows_down_nobody_else(chat, ark):
    """Each person has the same share of frames, and divides it among their tabs."""
    ark.pace = 0.02
    bob = await chat.user("bob")
    frames = {}

    async def followed(user, conversation, reply_id, tab):
        seen = chat.service.follow(user, conversation, reply_id, 0.01)
        frames[user, tab] = [snapshot async for snapshot in seen]

    async with asyncio.TaskGroup() as watching:
        for user, tabs in ((chat.user_id, 60), (bob, 1)):
            conversation = await chat.service.start_conversation(user)
            turn = await chat.send_as(user, conversation, "count 60")
            for tab in range(tabs):
                watching.create_task(followed(user, conversation, turn.started.reply_id, tab))
    assert all(seen[-1].text.endswith("60") for seen in frames.values())
    greedy = [len(seen) for (user, _), seen in frames.items() if user == chat.user_id]
    assert len(frames[bob, 0]) > 2 * sum(greedy) / len(greedy)


async def test_a_reply_of_another_process_is_followed_and_stopped(open_chat, ark):
    ark.fail_next(Fault.silence(after=3))
    async with open_chat() as here, open_chat(beside=here) as there:
        one = await here.started()
        turn = await here.send(one, "count 9")
        await grown(turn, 2)
        asked = False
        reply_id = turn.started.reply_id
        async for snapshot in there.service.follow(there.user_id, one, reply_id, 0.01):
            if snapshot.text and not asked:
                asked = True
                await there.service.stop(there.user_id, one)
        assert snapshot.done
        assert snapshot.text == turn.text
        assert (await there.messages(one))[-1].state == "stopped"


async def test_a_dead_process_blocks_a_conversation_no_longer_than_its_lease(chat, ark):
    one = await chat.started()
    await chat.ask(one, "echo: one")

    def died_in_a_turn() -> None:
        last = Message.select().order_by(Message.id.desc()).get()
        asked = Message.create(conversation=one, parent=last, role="user", content="two?")
        reply = Message.create(conversation=one, parent=asked, role="assistant", content="tw")
        Conversation.update(head_id=reply.id, memory_upto=None).execute()
        Turn.create(
            user=chat.user_id, conversation=one, reply_id=reply.id, worker="dead", lease_until=1000
        )

    await chat.storage.write(died_in_a_turn)
    assert (await recalled(chat, one))[1:] == [
        ("user", "echo: one"), ("assistant", "one"), ("user", "two?"), ("assistant", "tw"),
    ]  # fmt: skip
    states = {m.content: m.state for m in await chat.messages(one)}
    assert states["tw"] == "interrupted"


async def test_a_turn_whose_rows_are_gone_ends_no_other(chat, ark):
    ark.pace = 0.02
    one = await chat.started()
    first = await chat.send(one, "count 500")
    await grown(first)
    await chat.storage.write(erase.conversation, chat.user_id, one)
    other = await chat.started()
    second = await chat.send(other, "count 500")
    first.stop(State.STOPPED)
    await finished(first)
    assert chat.runner.get(second.id) is second
    await chat.service.stop(chat.user_id, other)
    await finished(second, seconds=5)
    assert (await chat.messages(other))[-1].state == State.STOPPED
