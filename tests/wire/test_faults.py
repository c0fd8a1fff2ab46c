"""No answer is ever lost, and what the model remembers is what the page shows: whatever Ark does,
whenever it does it, with every kind of memory."""

import asyncio
import functools
import json
import ssl
from contextlib import contextmanager
from datetime import timedelta

import pytest

from chatbot.ark.chunks import CallOptions, Chunk, PromptMessage
from chatbot.ark.memory import Learned, Memories, MemoryRequest
from chatbot.ark.memory import choose as memory
from chatbot.ark.offline import count_messages, count_tokens
from chatbot.clock import now
from chatbot.errors import ArkUnavailable, ChatbotError, ContextLost, NotSupported, RateLimited
from chatbot.errors_zh import ERRORS_ZH
from chatbot.storage.tables import Conversation, Message, Turn
from chatbot.ui.texts import reason_text, text
from tests.conftest import LIMITS, finished, grown
from tests.fake_ark import AFTER_THE_END, FAULTS, Fault
from tests.wire.fault_table import (
    KINDS,
    ODD_EVENTS,
    PART,
    REFUSED,
    STRUCK,
    TOO_LONG,
    WHOLE,
    Cure,
)

pytestmark = pytest.mark.anyio

SYSTEM = ("system", "Be brief.")
FIRST = [("user", "echo: one"), ("assistant", "one")]
ASKED = ("user", "count 9")
PLACES = ("context", "create", "responses", "chat")
PATHS = {
    "context": "/context/chat/completions",
    "create": "/context/create",
    "responses": "/responses",
    "chat": "/chat/completions",
}
IMPATIENT = 0.3
SAME_MEMORY = (Cure.RETRY, Cure.REWORD)
GENERIC = {ChatbotError.sentence, ERRORS_ZH[ChatbotError.code]}


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(memory, "RETRY_SECONDS", 0.001)


# Hundreds of tests need not each read the certificates and make the tables.
certificates = functools.cache(ssl.create_default_context)


@pytest.fixture(autouse=True)
def certificates_read_once(monkeypatch):
    monkeypatch.setattr(ssl, "create_default_context", certificates)


class Played:
    """A conversation whose first turn went well, unless it is to be `fresh`; then a fault."""

    def __init__(self, chat, ark, conversation_id, before):
        self.chat = chat
        self.ark = ark
        self.id = conversation_id
        self.before = before
        self.seen = len(ark.requests)

    @classmethod
    async def begin(cls, chat, ark, *, fresh=False):
        one = await chat.started()
        if not fresh:
            await chat.ask(one, FIRST[0][1])
        return cls(chat, ark, one, [] if fresh else FIRST)

    def calls(self, place):
        """The requests to one path since the conversation was prepared."""
        return [r for r in self.ark.requests[self.seen :] if r.path.endswith("v3" + PATHS[place])]

    async def ask(self, *faults, chat=None, question=ASKED[1]):
        """One turn in which these faults strike; returns the running turn's end."""
        for fault in faults:
            self.ark.fail_next(fault)
        turn = await (chat or self.chat).send(self.id, question)
        await finished(turn)
        assert self.ark.pending_faults() == [], "each fault has struck"
        return turn

    async def check(self, turn, content, state, error, notes=(), question=ASKED[1]):
        """What the page shows at the end of the turn, and what it shows after a reload."""
        shown = turn.snapshot()
        assert (shown.text, shown.notes, shown.done) == (content, tuple(notes), True)
        reply = await self.check_stored(content, state, error, notes, question)
        await self.check_ledger(reply, content.removeprefix(turn.started.prefix))
        return reply

    async def check_stored(self, content, state, error, notes=(), question=ASKED[1]):
        lines = await self.chat.messages(self.id)
        assert [(m.role, m.content) for m in lines] == [
            *self.before, ("user", question), ("assistant", content),
        ]  # fmt: skip
        reply = lines[-1]
        assert (reply.state, reply.error, reply.notes) == (state, error, tuple(notes))
        assert_told_in_words(reply)
        return reply

    async def check_ledger(self, reply, said):
        """Every turn is in the ledger, settled, and what was said is in it; nobody is waiting."""

        mine = Turn.select().where(Turn.conversation == self.id).order_by(Turn.started_at)
        rows = await self.chat.storage.read(lambda: list(mine))
        assert all(row.state != "streaming" for row in rows)
        assert rows[-1].reply_id == reply.id
        mine = [row for row in rows if row.reply_id == reply.id]
        assert sum(row.prompt_tokens for row in mine) == reply.prompt_tokens
        assert sum(row.micro_yuan for row in mine) == reply.micro_yuan
        if said:
            # Never below what Ark counted: the question and the system prompt, and what was said.
            asked = [{"content": LIMITS.system_prompt}, {"content": ASKED[1]}]
            assert rows[-1].prompt_tokens >= count_messages(asked)
            assert rows[-1].completion_tokens >= count_tokens(said)
        return rows[-1]

    async def check_memory(self, turns):
        """What the model is really given at the next question, which can be asked at once."""
        reply = await self.chat.ask(self.id, "recall")
        assert reply.state == "complete"
        given = [tuple(line) for line in json.loads(reply.content)]
        assert given == [SYSTEM, *self.before, *turns]
        assert self.ark.pending_faults() == []


def assert_told_in_words(reply):
    for language in ("en", "zh"):
        if reply.error:
            assert reason_text(reply.error, language) not in GENERIC
        if reply.state != "complete":
            assert text(f"state_{reply.state}", language, reason="x")
        for note in reply.notes:
            assert text(f"note_{note}", language)


def test_the_table_has_every_refusal_of_the_local_ark():
    named = {name for name, fault in FAULTS.items() if fault.kind in ("http", "body", "reset")}
    assert named - {row.name for row in REFUSED} == set(TOO_LONG)


def families(place):
    """The rows that end alike at this place."""
    found = {}
    for row in REFUSED:
        found.setdefault((*row.at(place), row.state), []).append(row)
    return found.values()


REFUSED_ONCE = [
    pytest.param(rows, place, id=f"{rows[0].name}-{place}")
    for place in PLACES
    for rows in families(place)
]
REFUSED_FOR_GOOD = [
    pytest.param(row, place, id=f"{row.name}-{place}")
    for place in PLACES
    for rows in families(place)
    for row in (rows[0], rows[-1])[: len(rows)]
    if row.at(place)[1] is not Cure.NONE
]


def kind_of(place):
    return "context" if place == "create" else place


@contextmanager
def naming(row):
    """Add the row's name to whatever fails for it."""
    try:
        yield
    except Exception as error:
        error.add_note(f"in the row {row.name!r}")
        raise


@pytest.mark.parametrize(("rows", "place"), REFUSED_ONCE)
async def test_a_refusal_is_made_good_or_told(open_chat, ark, rows, place):
    new = place == "create"
    async with open_chat(memory=kind_of(place)) as chat:
        played = await Played.begin(chat, ark, fresh=new)
        for row in rows:
            with naming(row):
                await refuse_once(played, row, place)
            if new and played.before:
                await played.check_memory([])
                played = await Played.begin(chat, ark, fresh=True)
        await played.check_memory([])


async def refuse_once(played, row, place):
    error, cure = row.at(place)
    played.seen = len(played.ark.requests)
    turn = await played.ask(row.strike.on(place))
    if cure is Cure.NONE:
        await played.check(turn, "", row.state, error)
        assert len(played.calls(place)) == 1
        if place != "create":
            # Well again at once, with a memory for the next row to spoil.
            assert (await played.chat.ask(played.id, "echo: on")).content == "on"
            played.before = [*played.before, ("user", "echo: on"), ("assistant", "on")]
        return
    notes = ["memory_rebuilt"] if cure is Cure.REBUILD else []
    await played.check(turn, WHOLE, "complete", "", notes)
    assert len(played.calls(place)) == 2
    assert_no_second_use(played, place, cure)
    played.before = [*played.before, ASKED, ("assistant", WHOLE)]


@pytest.mark.parametrize(("row", "place"), REFUSED_FOR_GOOD)
async def test_a_refusal_that_stays_is_told_after_few_tries(open_chat, ark, row, place):
    error, cure = row.at(place)
    tries = 2 if cure in (Cure.REBUILD, Cure.REWORD) else 3
    async with open_chat(memory=kind_of(place)) as chat:
        played = await Played.begin(chat, ark, fresh=place == "create")
        turn = await played.ask(*[row.strike.on(place)] * tries)
        assert len(played.calls(place)) == tries
        assert_no_second_use(played, place, cure)
        shown = turn.snapshot()
        await played.check(turn, "", row.state, error, shown.notes)
        await played.check_memory([])


def assert_no_second_use(played, place, cure):
    """What may hold the turn already, or is lost, is not asked again."""
    if place == "context":
        refs = [call.body["context_id"] for call in played.calls(place)]
    elif place == "responses":
        refs = [call.body["previous_response_id"] for call in played.calls(place)]
        # One that is built anew follows no other.
        assert all(ref is None for ref in refs[1:]) or cure in SAME_MEMORY
        refs = [ref for ref in refs if ref]
    else:
        return
    assert len(set(refs)) == (1 if cure in SAME_MEMORY else len(refs))


STRUCK_KINDS = [
    pytest.param(
        row, kind, keeps, id=f"{row.name}-{row.moment}-{kind}{'' if keeps else '-forgets'}"
    )
    for row in STRUCK
    for kind in row.kinds
    # What a context keeps of a turn that was cut is not documented.
    for keeps in ((True, False) if kind == "context" and row.moment == "middle" else (True,))
]


@pytest.mark.parametrize(("row", "kind", "keeps"), STRUCK_KINDS)
async def test_a_stream_that_goes_wrong(open_chat, ark, row, kind, keeps):
    ark.keeps_partial = keeps
    async with open_chat(memory=kind) as chat:
        played = await Played.begin(chat, ark)
        if row.impatient:
            async with open_chat(memory=kind, beside=chat, idle_seconds=IMPATIENT) as impatient:
                turn = await played.ask(row.fault.on(kind), chat=impatient)
        else:
            turn = await played.ask(row.fault.on(kind))
        reply = await played.check(turn, row.text, row.state, row.error)
        assert len(played.calls(kind)) == 1, "a stream that has begun is never asked for again"
        if kind in row.counted and row.fault.usage == "whole":
            used = await played.check_ledger(reply, row.text)
            assert reply.prompt_tokens == used.prompt_tokens > 0
            assert reply.cached_tokens == used.cached_tokens
            # The cache that works by itself begins with 1,024 tokens.
            assert (reply.cached_tokens > 0) == (kind == "context")
            assert reply.completion_tokens == used.completion_tokens == count_tokens(row.text)
        await played.check_memory([ASKED, ("assistant", row.text)] if row.remembered else [])


@pytest.mark.parametrize(
    ("data", "kind"), [(data, kind) for data, kinds in ODD_EVENTS for kind in kinds]
)
async def test_an_event_of_an_odd_shape_costs_at_most_the_rest(open_chat, ark, kind, data):
    async with open_chat(memory=kind) as chat:
        played = await Played.begin(chat, ark)
        turn = await played.ask(Fault.odd_event(data).on(kind))
        whole = turn.text == WHOLE
        state, error = ("complete", "") if whole else ("interrupted", "stream_broken")
        await played.check(turn, WHOLE if whole else PART, state, error)
        await played.check_memory([ASKED, ("assistant", turn.text)])


@pytest.mark.parametrize("fault", [Fault.drop(3), Fault.content_filter(3), Fault.drop(0)])
@pytest.mark.parametrize("kind", KINDS)
async def test_the_first_turn_of_all_goes_wrong(open_chat, ark, kind, fault):
    async with open_chat(memory=kind) as chat:
        played = await Played.begin(chat, ark, fresh=True)
        turn = await played.ask(fault.on(kind))
        kept = fault.kind == "drop" and fault.after
        assert turn.text == (PART if fault.after else "")
        await played.check_memory([ASKED, ("assistant", PART)] if kept else [])


@pytest.mark.parametrize("kind", KINDS)
async def test_one_bad_turn_after_another(open_chat, ark, kind):
    async with open_chat(memory=kind) as chat:
        played = await Played.begin(chat, ark)
        await played.ask(Fault.content_filter(3).on(kind))
        await played.ask(FAULTS["InvalidParameter"].on(kind), question="echo: nobody hears this")
        await played.ask(Fault.drop(3).on(kind))
        lines = await chat.messages(played.id)
        assert [(m.content, m.state) for m in lines if m.role == "assistant"] == [
            ("one", "complete"), (PART, "filtered"), (PART, "interrupted"),
        ]  # fmt: skip
        await played.check_memory([ASKED, ("assistant", PART)])


@pytest.mark.parametrize("kind", KINDS)
async def test_an_answer_without_a_word_is_told(open_chat, ark, kind):
    async with open_chat(memory=kind) as chat:
        played = await Played.begin(chat, ark)
        turn = await played.ask(question="echo:")
        await played.check(turn, "", "failed", "empty_reply", question="echo:")
        await played.check_memory([])


@pytest.mark.parametrize("kind", KINDS)
async def test_thoughts_without_an_answer_are_kept(open_chat, ark, kind):
    async with open_chat(memory=kind) as chat:
        played = await Played.begin(chat, ark)
        turn = await played.ask(Fault.drop(0).on(kind), question="think")
        reply = await played.check(turn, "", "failed", "stream_broken", question="think")
        assert reply.thought == turn.turn.thought != ""
        await played.check_memory([])


@pytest.mark.parametrize("kind", KINDS)
async def test_the_token_limit_cuts_and_is_remembered_so(open_chat, ark, kind):
    async with (
        open_chat(memory=kind) as chat,
        open_chat(memory=kind, beside=chat, max_output_tokens=2) as brief,
    ):
        played = await Played.begin(chat, ark)
        turn = await played.ask(chat=brief)
        reply = await played.check(turn, turn.text, "length", "")
        assert WHOLE.startswith(reply.content)
        assert 0 < reply.completion_tokens <= 2
        await played.check_memory([ASKED, ("assistant", reply.content)])


@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_turn_cut_by_time_is_remembered_as_shown(open_chat, ark, kind, keeps):
    ark.keeps_partial = keeps
    async with (
        open_chat(memory=kind) as chat,
        open_chat(memory=kind, beside=chat, turn_seconds=IMPATIENT) as hasty,
    ):
        played = await Played.begin(chat, ark)
        turn = await played.ask(Fault.silence(3).on(kind), chat=hasty)
        await played.check(turn, PART, "length", "turn_timeout")
        await played.check_memory([ASKED, ("assistant", PART)])


@pytest.mark.parametrize("kind", KINDS)
async def test_ark_is_down_and_comes_back(open_chat, ark, kind):
    async with open_chat(memory=kind) as chat:
        played = await Played.begin(chat, ark)
        ark.stop()
        turn = await played.ask()
        await played.check(turn, "", "failed", "ark_unavailable")
        ark.start()
        await played.check_memory([])


MOMENTS = {
    "before": (Fault.slow_start(60), ""),
    "middle": (Fault.silence(3), PART),
    "end": (Fault.silence(AFTER_THE_END), WHOLE),
}


async def reached(played, kind, turn, moment):
    """Wait until Ark has been asked, has said a part, or has said that it is done."""
    async with asyncio.timeout(20):
        while not played.calls(kind) or played.ark.pending_faults():
            await asyncio.sleep(0.005)
    await grown(turn, len(MOMENTS[moment][1]))
    if moment == "end":
        async with asyncio.timeout(20):
            while turn.turn.state == "streaming":
                await turn.changed(turn.version, 1)


@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("kind", KINDS)
async def test_stopped_at_any_moment(open_chat, ark, kind, moment, keeps):
    ark.keeps_partial = keeps
    fault, content = MOMENTS[moment]
    async with open_chat(memory=kind) as chat:
        played = await Played.begin(chat, ark)
        ark.fail_next(fault)
        turn = await chat.send(played.id, ASKED[1])
        await reached(played, kind, turn, moment)
        await chat.service.stop(chat.user_id, played.id)
        await finished(turn)
        await played.check(turn, content, "complete" if moment == "end" else "stopped", "")
        await played.check_memory([ASKED, ("assistant", content)] if content else [])


async def die(chat):
    """End the turns as `kill -9` does: at once, with nothing more written."""
    running = list(chat.runner._turns.values())
    for task in (
        chat.runner._keeper._task,
        *chat.runner._tasks,
        *(turn.reader for turn in running),
    ):
        task.cancel()
    for turn in running:
        await finished(turn)

    await chat.storage.write(Turn.update(lease_until=1000).execute)


@pytest.mark.parametrize("saved", [True, False])
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("kind", KINDS)
async def test_the_process_dies_at_any_moment(open_chat, ark, kind, moment, saved):
    fault, said = MOMENTS[moment]
    async with open_chat(memory=kind) as old:
        played = await Played.begin(old, ark)
        ark.fail_next(fault)
        turn = await old.send(played.id, ASKED[1])
        await reached(played, kind, turn, moment)
        if saved:
            await old.runner._keeper._save()
        await die(old)
        request = played.calls(kind)[-1]
        async with open_chat(memory=kind, beside=old) as new, asyncio.timeout(20):
            played.chat = new
            while (await new.messages(played.id))[-1].state == "streaming":
                await asyncio.sleep(0.01)
            while not request.disconnected:
                await asyncio.sleep(0.01)
            content = said if saved else ""
            state = "interrupted" if content else "failed"
            reply = await played.check_stored(content, state, "process_died")
            await played.check_ledger(reply, said)
            await played.check_memory([ASKED, ("assistant", content)] if content else [])


LOST = FAULTS["InvalidParameter.PreviousResponseNotFound"]
DOWN = FAULTS["InternalServiceError"]
LIMITED = FAULTS["ServerOverloaded"]
REMEMBERING = ("context", "responses")


def rebuilding(kind):
    """The call in which a memory is built anew."""
    return "create" if kind == "context" else kind


@pytest.mark.parametrize("kind", REMEMBERING)
async def test_a_memory_lost_by_surprise_is_rebuilt(open_chat, ark, kind):
    async with open_chat(memory=kind) as chat:
        played = await Played.begin(chat, ark)
        for ref in (*ark.contexts, *ark.responses):
            ark.forget(ref)
        turn = await played.ask()
        await played.check(turn, WHOLE, "complete", "", ["memory_rebuilt"])
        assert [call.status for call in played.calls(kind)] == [
            404 if kind == "context" else 400, 200,
        ]  # fmt: skip
        await played.check_memory([ASKED, ("assistant", WHOLE)])


@pytest.mark.parametrize("seconds", [-1, 5])
@pytest.mark.parametrize("kind", REMEMBERING)
async def test_a_memory_known_to_expire_is_not_asked(open_chat, ark, kind, seconds):
    async with open_chat(memory=kind) as chat:
        played = await Played.begin(chat, ark)
        expires = now() + timedelta(seconds=seconds)
        await chat.storage.write(lambda: Conversation.update(memory_expires_at=expires).execute())
        turn = await played.ask()
        await played.check(turn, WHOLE, "complete", "")
        (call,) = played.calls(kind)
        assert call.status == 200
        assert call.body.get("previous_response_id") is None
        assert len(played.calls("create")) == (kind == "context")
        await played.check_memory([ASKED, ("assistant", WHOLE)])


@pytest.mark.parametrize("kind", REMEMBERING)
async def test_a_memory_is_used_as_long_as_it_lasts(open_chat, ark, kind):
    async with open_chat(memory=kind) as chat:
        played = await Played.begin(chat, ark)
        for _ in range(3):
            ark.clock.advance(1000)
            turn = await played.ask(question="echo: more")
            assert turn.turn.notes == []
        assert played.calls("create") == []
        assert all(len(sent_lines(call)) == 1 for call in played.calls(kind))
        await played.check_memory([("user", "echo: more"), ("assistant", "more")] * 3)


def sent_lines(call):
    return call.body.get("messages") or call.body.get("input")


@pytest.mark.parametrize(
    ("after", "content", "error", "builds"),
    [
        ([], WHOLE, "", 1),
        ([LIMITED], WHOLE, "", 2),
        ([LIMITED, DOWN], WHOLE, "", 3),
        ([DOWN, DOWN, DOWN], "", "ark_unavailable", 3),
        ([LIMITED, LIMITED, LIMITED], "", "ark_overloaded", 3),
        ([FAULTS["AuthenticationError"]], "", "key_refused", 1),
        ([FAULTS["InputTextSensitiveContentDetected"]], "", "moderated", 1),
        ([FAULTS["reset"], FAULTS["html"]], WHOLE, "", 3),
    ],
    ids=lambda value: "+".join(fault.code or fault.kind for fault in value) or "well"
    if isinstance(value, list) else "",
)  # fmt: skip
@pytest.mark.parametrize("kind", REMEMBERING)
async def test_rebuilding_itself_goes_wrong(open_chat, ark, kind, after, content, error, builds):
    async with open_chat(memory=kind) as chat:
        played = await Played.begin(chat, ark)
        turn = await played.ask(LOST.on(kind), *(f.on(rebuilding(kind)) for f in after))
        state = "complete" if content else "filtered" if error == "moderated" else "failed"
        await played.check(turn, content, state, error, ["memory_rebuilt"] if content else [])
        lost = kind == "responses"
        assert len(played.calls(rebuilding(kind))) == builds + lost
        await played.check_memory([ASKED, ("assistant", WHOLE)] if content else [])


@pytest.mark.parametrize("builds", [1, 2])
async def test_a_context_just_made_is_paid_for_once(open_chat, ark, builds):
    """A refusal leaves it as it was; after anything else nobody knows what it holds."""
    async with open_chat() as chat:
        played = await Played.begin(chat, ark)
        fault = LIMITED if builds == 1 else DOWN
        turn = await played.ask(LOST.on("context"), fault.on("context"))
        await played.check(turn, WHOLE, "complete", "", ["memory_rebuilt"])
        assert len(played.calls("create")) == builds
        asked = [sent_lines(call) for call in played.calls("context")]
        # The last reply cannot be part of a new context: it is repeated with the question.
        assert asked[1] == asked[2]
        assert [line["role"] for line in asked[2]] == ["assistant", "user"]
        await played.check_memory([ASKED, ("assistant", WHOLE)])


@pytest.mark.parametrize("second", [LOST, FAULTS["OperationDenied.InvalidState"]])
@pytest.mark.parametrize("between", [[], [LIMITED], [DOWN, LIMITED]])
@pytest.mark.parametrize("kind", REMEMBERING)
async def test_a_memory_lost_twice_is_replayed_once(open_chat, ark, kind, between, second):
    async with open_chat(memory=kind) as chat:
        played = await Played.begin(chat, ark)
        faults = [LOST, *between, second]
        turn = await played.ask(*(fault.on(kind) for fault in faults))
        error = "context_lost" if second is LOST else "context_busy"
        await played.check(turn, "", "failed", error, turn.turn.notes)
        assert len(played.calls(kind)) == len(faults)
        await played.check_memory([])


@pytest.mark.parametrize("kind", REMEMBERING)
async def test_a_busy_memory_is_left_alone(open_chat, ark, kind):
    async with open_chat(memory=kind) as chat:
        played = await Played.begin(chat, ark)
        # Ark goes on with a turn for a while after its client has left.
        ark.linger = 60
        ark.fail_next(Fault.silence(3))
        turn = await chat.send(played.id, ASKED[1])
        await grown(turn, len(PART))
        await chat.service.stop(chat.user_id, played.id)
        await finished(turn)
        await played.check(turn, PART, "stopped", "")
        await played.check_memory([ASKED, ("assistant", PART)])
        assert all(call.status == 200 for call in played.calls(kind)[1:])


# What makes a turn of a conversation anew, and how the page reads then.
ONE, TWO = FIRST, [ASKED, ("assistant", WHOLE)]
THREE = [("user", "echo: three"), ("assistant", "three")]


async def edit_last(chat, one, lines):
    return await chat.edit(one, lines[-2].id, "echo: three")


async def edit_first(chat, one, lines):
    return await chat.edit(one, lines[0].id, "echo: three")


async def regenerate(chat, one, lines):
    return await chat.regenerate(one, lines[-1].id)


async def undo(chat, one, lines):
    await chat.service.undo(chat.user_id, one, lines[-1].id)


async def undo_and_show_again(chat, one, lines):
    await finished(await chat.edit(one, lines[-2].id, "echo: three"))
    shown = await chat.messages(one)
    await chat.service.show_version(chat.user_id, one, shown[-2].id, 1)


@pytest.mark.parametrize(
    ("move", "lines"),
    [
        (edit_last, [*ONE, *THREE]),
        (edit_first, THREE),
        (regenerate, [*ONE, *TWO]),
        (undo, ONE),
        (undo_and_show_again, [*ONE, *TWO]),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
async def test_the_memory_follows_the_visible_branch(open_chat, ark, kind, move, lines):
    async with open_chat(memory=kind) as chat:
        played = await Played.begin(chat, ark)
        await played.ask()
        before = await chat.messages(played.id)
        turn = await move(chat, played.id, before)
        if turn is not None:
            await finished(turn)
        assert [(m.role, m.content) for m in await chat.messages(played.id)] == lines
        played.before = []
        await played.check_memory(lines)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("move", [edit_last, regenerate])
async def test_a_move_that_fails_changes_only_what_is_visible(open_chat, ark, kind, move):
    async with open_chat(memory=kind) as chat:
        played = await Played.begin(chat, ark)
        await played.ask()
        ark.fail_next(FAULTS["InvalidParameter"].on(kind))
        before = await chat.messages(played.id)
        await finished(await move(chat, played.id, before))
        await played.check_memory([])
        kept = await chat.storage.read(lambda: [m.content for m in Message.select()])
        assert {line.content for line in before} < set(kept), "what is hidden is not lost"


@pytest.mark.parametrize(
    ("fault", "text_after", "state", "error"),
    [
        (None, WHOLE, "complete", ""),
        (Fault.drop(0), PART, "interrupted", "stream_broken"),
        (Fault.drop(2), "1 2 3 4 5", "interrupted", "stream_broken"),
        (Fault.drop(AFTER_THE_END), WHOLE, "complete", ""),
        (Fault.length(2), "1 2 3 4 5", "length", ""),
        (Fault.content_filter(2), "1 2 3 4 5", "filtered", ""),
        (FAULTS["InvalidParameter"], PART, "interrupted", "bad_request"),
        (FAULTS["AuthenticationError"], PART, "interrupted", "key_refused"),
    ],
    ids=lambda value: f"{value.kind}-{value.after}" if isinstance(value, Fault) else "",
)
@pytest.mark.parametrize("kind", KINDS)
async def test_going_on_loses_nothing(
    open_chat, ark, kind, fault, text_after, state, error
):  # fmt: skip
    async with open_chat(memory=kind) as chat:
        played = await Played.begin(chat, ark)
        await played.ask(Fault.drop(3).on(kind))
        if fault is not None:
            ark.fail_next(fault.on(kind))
        reply = (await chat.messages(played.id))[-1]
        turn = await chat.go_on(played.id, reply.id)
        await finished(turn)
        await played.check(turn, text_after, state, error)
        turns = [ASKED, ("assistant", text_after)] if state != "filtered" else []
        await played.check_memory(turns)


class Scripted:
    """A memory whose calls end as told; the app has a rule for what cannot be had over HTTP."""

    def __init__(self, kind, events, error):
        self.kind, self.events, self.error = kind, events, error
        self.calls = 0

    async def stream_reply(self, ask, ref):
        self.calls += 1
        for event in self.events:
            yield event
        raise self.error


@pytest.mark.parametrize("said", [Chunk(text="1"), Chunk(thought="hm")])
@pytest.mark.parametrize(
    "error", [ContextLost(), RateLimited(), ArkUnavailable(), NotSupported()], ids=lambda e: e.code
)
async def test_after_the_first_word_nothing_is_asked_again(said, error):
    first, second = Scripted("first", [said], error), Scripted("second", [], error)
    learned = Learned([], None, now)
    kinds = Memories(None, [first, second], lambda _: ("first", "second"), learned)
    events = kinds.answer(
        MemoryRequest("m", "", PromptMessage("user", "q"), "ref", 0, None, (), 0, CallOptions(0))
    )
    assert await anext(events) == said
    with pytest.raises(type(error)):
        await anext(events)
    assert (first.calls, second.calls) == (1, 0)
