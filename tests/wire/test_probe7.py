import asyncio, json, logging
from datetime import timedelta
import pytest
from chatbot.ark.offline import Fault
from chatbot.errors import *
from chatbot.storage import journal
from chatbot.storage.fields import now
from chatbot.storage.models import *
from tests.conftest import finished, grown
from tests.wire.test_disk import *
from tests.wire.test_disk import hurry

pytestmark = pytest.mark.anyio

def stream(*texts, finish="stop"):
    lines = [
        'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":'
        '[{"index":0,"delta":{"role":"assistant","content":%s},"finish_reason":null}]}' % t for t in texts]
    lines.append('data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":'
        '[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"stop"}]}')
    lines.append("data: [DONE]")
    return Fault("body", status=200, type="text/event-stream", body=("\n\n".join(lines)+"\n\n").encode())

@pytest.mark.parametrize("texts,want", [
  (['"half \\ud83d end"'], "half \ufffd end"),
  (['"a \\ud83d"', '"\\ude00 b"'], "a 😀 b"),
  (['"nul \\u0000 end"'], None),
])
async def test_surrogate(chat, ark, texts, want):
    ark.fail_next(stream(*texts))
    one = await chat.started()
    r = await chat.ask(one, "hello")
    print(ascii(r))
    assert not chat.turns._keeper.done()
    if want: assert r.content == want
    else: assert r.state == "complete"

async def test_surrogate_input(chat, ark):
    one = await chat.started()
    r = await chat.ask(one, "echo: half \ud83d end")
    print(ascii(r))

async def lapse(chat):
    await chat.storage.write(Conversation.update(turn_until=now() - timedelta(seconds=1)).where(Conversation.turn_until.is_null(False)).execute)

@pytest.fixture
def still(monkeypatch):
    monkeypatch.setattr("chatbot.turns.SAVE_SECONDS", 3600)
    monkeypatch.setattr("chatbot.turns.asyncio", asyncio)

async def test_takeover_continue(open_chat, ark, still):
    """A sleeps through its lease; B recovers and continues; A wakes."""
    async with open_chat() as a, open_chat(beside=a) as b:
        one = await a.started()
        ark.fail_next(Fault.silence(after=3))
        turn = await a.send(one, "count 30")
        await grown(turn, 5)
        await a.turns._save()
        await lapse(a)
        await b.storage.write(journal.recover)
        reply = await stored(b, one)
        assert reply.state == "interrupted"
        t2 = await b.service.go_on(b.user_id, one, reply.id)
        await finished(t2)
        whole = await stored(b, one)
        assert whole.content.endswith("30")
        await a.turns._save()     # A wakes
        await finished(turn)
        again = await stored(b, one)
        assert again.content == whole.content
        assert await memory_is_what_is_seen(b, one)

async def test_takeover_memory(open_chat, ark, still):
    async with open_chat() as a, open_chat(beside=a) as b:
        one = await a.started()
        ark.fail_next(Fault.silence(after=3, seconds=0.5))
        turn = await a.send(one, "count 30")
        await grown(turn, 5)
        await a.turns._save()
        await lapse(a)
        await b.ask(one, "echo: two")
        await finished(turn)
        print([(m.role, m.content, m.state) for m in await b.messages(one)])
        assert await memory_is_what_is_seen(b, one)

async def test_same_process_two_turns(open_chat, ark, still):
    async with open_chat() as a:
        one = await a.started()
        ark.fail_next(Fault.silence(after=3))
        turn = await a.send(one, "count 30")
        await grown(turn, 5)
        await lapse(a)
        with pytest.raises(TurnRunning):
            await a.send(one, "echo: two")

async def test_gives_up(open_chat, ark, volume, caplog):
    async with open_chat(max_output_tokens=30_000) as chat:
        one = await chat.started()
        volume.full = True
        turn = await chat.send(one, "count 3000")
        async def gave_up(): return turn.done or caplog.text.count("ERROR") > 25
        await until(gave_up)
        volume.full = False
        await finished(turn)
        await asyncio.sleep(0.3)
        r = await stored(chat, one)
        assert r.content == turn.text, (r.state, len(r.content))

async def test_cancelled_start(open_chat, ark, monkeypatch):
    monkeypatch.setattr("chatbot.turns.LEASE_SECONDS", 0.5)
    monkeypatch.setitem(database.SQLITE_PRAGMAS, "busy_timeout", 5000)
    async with open_chat() as chat:
        one = await chat.started()
        with locked(chat):
            sending = asyncio.create_task(chat.send(one, "echo: one"))
            await asyncio.sleep(0.1)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        async def there():
            ms = await chat.messages(one)
            return ms and ms[-1].state != "streaming" and ms
        ms = await until(there)
        print([(m.role, m.content, m.state) for m in ms])
        assert ms[-1].content == "one"

async def test_backward_dead(open_chat, ark, clock):
    async with open_chat() as chat:
        one = await chat.started()
        await chat.ask(one, "echo: one")
        await chat.storage.write(Conversation.update(turn_owner="dead", turn_until=now()+timedelta(seconds=10)).execute)
        clock.ahead = timedelta(hours=-1)
        await chat.ask(one, "echo: two")

async def test_thought(open_chat, ark):
    async with open_chat(memory="chat") as chat:
        one = await chat.started()
        ark.fail_next(Fault.drop(after=3))
        r = await chat.ask(one, "think")
        assert r.thought and r.content
        await finished(await chat.service.go_on(chat.user_id, one, r.id))
        r2 = await stored(chat, one)
        print(ascii((r.thought, r2.thought)))
        assert r2.thought.startswith(r.thought)

async def test_close_race(open_chat, ark, monkeypatch):
    monkeypatch.setitem(database.SQLITE_PRAGMAS, "busy_timeout", 5000)
    async with open_chat() as chat:
        one = await chat.started()
        with locked(chat):
            sending = asyncio.create_task(chat.send(one, "echo: one"))
            await asyncio.sleep(0.1)
            closing = asyncio.create_task(chat.turns.close())
            await asyncio.sleep(0.1)
        await closing
        await asyncio.gather(sending, return_exceptions=True)
        r = await stored(chat, one)
        print(r, sending)
        assert r.state != "streaming"
