"""Random stories against three promises: no answer is ever lost, the model's memory equals what the
user sees, and messages, sessions and the ledger have the same numbers.

Hypothesis makes up what two processes on one database file do, what Ark does to them, and when
they die; a few lines of plain Python keep account of what must be stored, shown and remembered.
The account is compared after every step, and in the end every version is looked up again.

The same stories are played every time. To play many new and longer ones, and to have a failing
one cut down to what matters: `HYPOTHESIS_PROFILE=long pytest tests/wire/test_property.py`.
"""

import asyncio
import json
import os
import shutil
import threading
import uuid
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from itertools import pairwise
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from chatbot.ark.client import ArkClient
from chatbot.ark.memory import kept_in, memories_for
from chatbot.ark.offline.script import pieces, reply_to
from chatbot.clock import now
from chatbot.errors import ConversationNotFound, TurnRunning
from chatbot.service import ChatService
from chatbot.storage import messages, turns, users
from chatbot.storage.database import open_storage
from chatbot.storage.tables import Conversation, Message, Turn, User
from chatbot.storage.turn_values import Continue, Edit, Progress, Regenerate, Send
from chatbot.turns.prompt import CONTINUE
from chatbot.turns.purse import Purse
from chatbot.turns.runner import Runner
from chatbot.turns.worker import is_gone
from tests.conftest import LIMITS, NO_LIMITS, finished, grown, stored_turns
from tests.fake_ark import FakeArk, Fault

QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck), "database": None}
settings.register_profile(
    "quick",
    derandomize=True,
    max_examples=8,
    # To explain a failing story would play it hundreds of times more.
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    **QUIET,
)
settings.register_profile("long", max_examples=500, **QUIET)
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "quick")
STEPS = {"quick": 16, "long": 40}

# Room enough that nothing is cut: what is left out of a memory on purpose is tested elsewhere.
ROOMY = replace(LIMITS, history_tokens=1_000_000, bounds=replace(LIMITS.bounds, max_tokens=30_000))
SYSTEM = ("system", ROOMY.system_prompt)
WORDS = (
    "echo: {} one two three four five six seven eight",
    "echo: {} Zeile\n\n\teingerückt   und   mehr",
    "echo: {} 表情😀 你好，世界 مرحبا e\u0301",
    "echo: {}",
    "think",
)
NUMBERS = ("prompt_tokens", "cached_tokens", "completion_tokens", "micro_yuan")
CONTINUABLE = ("stopped", "interrupted", "length")


class Seconds:
    """What turns take for `asyncio`: the same, but a keeper's second passes when told."""

    def __init__(self):
        self._asleep = set()

    def __getattr__(self, name):
        return getattr(asyncio, name)

    async def sleep(self, _):
        woken = asyncio.get_running_loop().create_future()
        self._asleep.add(woken)
        try:
            await woken
        finally:
            self._asleep.discard(woken)

    async def settled(self, keepers):
        """Wait until so many keepers have done their round and sleep."""
        async with asyncio.timeout(10):
            while len(self._asleep) < keepers:
                await asyncio.sleep(0)

    async def pass_one(self, keepers):
        asleep, self._asleep = self._asleep, set()
        for woken in asleep:
            woken.set_result(None)
        await self.settled(keepers)


class Killed(Exception):
    """A process dies in the middle of its final save."""


class Disk:
    """The database as one process has it."""

    def __init__(self, lab):
        self._lab = lab

    def __getattr__(self, name):
        return getattr(self._lab.storage, name)

    async def read(self, work, *args, **kwargs):
        return await self._lab.storage.read(work, *args, **kwargs)

    async def read_inline(self, work, *args, **kwargs):
        return await self._lab.storage.read_inline(work, *args, **kwargs)

    async def write(self, work, *args, **kwargs):
        try:
            return await self._lab.storage.write(work, *args, **kwargs)
        except Killed:
            # The transaction is rolled back, and whoever waits for it never hears of that.
            await asyncio.Event().wait()

    async def empty_log(self):
        await self._lab.storage.empty_log()


class Process:
    """The services of one process."""

    def __init__(self, lab, memory):
        disk = Disk(lab)
        memories = memories_for(
            memory, lab.client, 3600, ROOMY.models.kinds, kept_in(lab.storage, lab.ark.base_url)
        )
        purse = Purse(NO_LIMITS)
        self.runner = Runner(disk, memories, purse, ROOMY)
        self.service = ChatService(disk, self.runner, purse, max_input_chars=20_000)
        self.runner.open()

    async def kill(self):
        """End as SIGKILL would: nothing runs on, nothing more is saved."""
        runner = self.runner
        readers = [turn.reader for turn in runner._turns.values() if turn.reader]
        tasks = [*runner._tasks, *readers, runner._keeper._task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass
class Lab:
    """What outlives a story: one event loop, one local Ark, one client."""

    folder: object
    ark: FakeArk
    seconds: Seconds
    memory: str
    runner: asyncio.Runner
    client: ArkClient
    dying: set[str]
    storage: object = None
    story: int = 0

    def url(self):
        return f"sqlite:///{self.folder}/{self.story}.db"

    def new_file(self):
        empty = self.folder / "empty.db"
        if not empty.exists():
            open_storage(f"sqlite:///{empty}").close()
        self.story += 1
        shutil.copy(empty, self.folder / f"{self.story}.db")

    async def ark_is_idle(self):
        """Wait until Ark knows how each request ended: a client that left is noticed late."""
        async with asyncio.timeout(10):
            while not all(r.finished or r.disconnected for r in list(self.ark.requests)):
                await asyncio.sleep(0)


@dataclass
class Said:
    """A message as it must be stored."""

    id: int
    parent: int | None
    role: str
    text: str
    state: str = "complete"
    thought: str = ""


@dataclass
class Account:
    """What must be stored of a conversation, and which of it is seen."""

    id: str
    said: dict[int, Said] = field(default_factory=dict)
    head: int | None = None
    used: bool = False
    orphan: int | None = None
    """A reply whose process died and whose lease has run out; nobody has ended it yet."""

    def branch(self, end):
        found = []
        while end is not None:
            found.append(self.said[end])
            end = self.said[end].parent
        return found[::-1]

    @property
    def visible(self):
        return self.branch(self.head)

    def remembered(self, end):
        """What a model must know when the visible branch ends there."""
        kept = []
        for question, reply in pairwise(self.branch(end)):
            answered = reply.role == "assistant" and reply.text
            if answered and reply.state not in ("failed", "filtered"):
                kept += [("user", question.text), ("assistant", reply.text)]
        return kept

    def last_answered(self):
        end = self.head
        while end is not None and not self.said[end].text:
            end = self.said[self.said[end].parent].parent
        return end

    def places(self, message):
        return sorted(m.id for m in self.said.values() if m.parent == message.parent)

    def versions(self):
        """As the page offers them: message, number, count."""
        return [
            (m.id, places.index(m.id) + 1, len(places))
            for m in self.visible
            if len(places := self.places(m)) > 1
        ]

    def show_next(self, message_id):
        places = self.places(self.said[message_id])
        following = places[(places.index(message_id) + 1) % len(places)]
        self.head = max(
            m.id for m in self.said.values() if following in [up.id for up in self.branch(m.id)]
        )

    def begin(self, move, question_id, reply_id):
        self.recovered()
        self.used = True
        match move:
            case Send(text):
                self._add(question_id, self.last_answered(), "user", text)
            case Edit(old_id, text):
                self._add(question_id, self.said[old_id].parent, "user", text)
            case Regenerate(old_id):
                assert question_id == self.said[old_id].parent
            case Continue(old_id):
                assert reply_id == old_id
                self.said[old_id].state = "streaming"
        if not isinstance(move, Continue):
            self._add(reply_id, question_id, "assistant", "", "streaming")
        self.head = reply_id
        return self.said[reply_id]

    def _add(self, message_id, parent, role, text, state="complete"):
        assert message_id not in self.said
        self.said[message_id] = Said(message_id, parent, role, text, state)

    def recovered(self):
        if self.orphan is not None:
            reply = self.said[self.orphan]
            reply.state = "interrupted" if reply.text else "failed"
            self.orphan = None


@dataclass(frozen=True)
class Ending:
    """How a turn ends, after so many pieces of text."""

    how: str
    after: int = 0
    elsewhere: bool = False
    """Stopped or deleted by the other process."""
    saved: bool = False
    """Before a crash or a sleep: whether a second has passed since the last piece."""
    recovered: bool = True
    """After a crash: whether a keeper finds the reply, or the next question has to. When a process
    sleeps through its lease: whether a keeper takes it for dead, or somebody goes on."""


OVERLOADED = Fault.http(429, "ServerOverloaded")
BROKEN = Fault.http(500, "InternalServiceError")
BEFORE_THE_FIRST_WORD = {
    "complete": [],
    "busy once": [OVERLOADED],
    "broken twice": [BROKEN, BROKEN],
    "busy": [OVERLOADED] * 3,
    "broken": [BROKEN, OVERLOADED, BROKEN],
    "refused": [Fault.http(400, "InvalidParameter")],
    "moderated": [Fault.http(400, "InputTextSensitiveContentDetected")],
}
IN_MID_REPLY = {
    "drop": Fault.drop,
    "error": Fault.stream_error,
    "length": Fault.length,
    "content_filter": Fault.content_filter,
}
WHILE_IT_RUNS = ("stop", "crash", "close", "delete", "sleep")

AFTER = st.integers(0, 7)
ENDINGS = st.one_of(
    st.just(Ending("complete")),
    st.sampled_from(sorted(BEFORE_THE_FIRST_WORD)).map(Ending),
    st.builds(Ending, st.sampled_from(sorted(IN_MID_REPLY)), AFTER),
    st.builds(Ending, st.sampled_from(["stop", "stop", "stop", "delete"]), AFTER, st.booleans()),
    st.builds(Ending, st.just("close"), AFTER),
    st.builds(
        Ending, st.sampled_from(["crash", "crash at the end", "sleep"]), AFTER, st.booleans(),
        st.booleans(), st.booleans(),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Step:
    """What happens next. The numbers choose among what there is to choose from."""

    first: str | None
    """What befalls Ark or the processes before."""
    do: str
    who: int
    """The process that is asked."""
    at: int
    """The conversation."""
    which: int
    """The message, or the kind of memory."""
    words: str
    ending: Ending


# A turn that cannot be had here and now is a new question instead, so that no step is idle.
TURNS = ["send", "edit", "regenerate", "go_on"]
OTHERS = ["undo", "show_next_version", "recall", "start_conversation", "delete"]
BEFORE = ["ark_forgets", "memory_is_known_to_have_expired", "restart"]
STORIES = st.lists(
    st.builds(
        Step,
        first=st.sampled_from([None] * 6 + BEFORE),
        do=st.sampled_from(TURNS * 2 + OTHERS),
        who=st.integers(0, 1),
        at=st.integers(0, 2),
        which=st.integers(0, 5),
        words=st.sampled_from(WORDS),
        ending=ENDINGS,
    ),
    min_size=STEPS[PROFILE] // 2,
    max_size=STEPS[PROFILE],
)


class Story:
    """Two processes, one person, up to three conversations."""

    def __init__(self, lab, keeps_partial, shape):
        self.lab, self.ark = lab, lab.ark
        lab.new_file()
        self.ark.contexts.clear()
        self.ark.responses.clear()
        self.ark._faults.clear()
        self.ark.keeps_partial, self.ark.lost_shape = keeps_partial, shape
        self.memory = "context" if lab.memory == "changing" else lab.memory
        self.accounts = []
        self.asked = 0
        self.processes = []

    async def play(self, steps):
        await self.opened()
        try:
            await self.started()
            for step in steps:
                account = self.accounts[step.at % len(self.accounts)]
                if step.first:
                    await getattr(self, step.first)(step)
                await getattr(self, step.do)(account, step)
                await self.check()
            await self.come_back()
        finally:
            for process in self.processes:
                await process.kill()
            self.lab.storage.close()

    async def opened(self):
        lab = self.lab
        lab.storage = open_storage(lab.url())
        self.user_id = await lab.storage.write(
            lambda: (
                (
                    users.by_name_key("ann")
                    or User.create(name="ann", name_key="ann", password_hash="not used here")
                ).id
            )
        )
        await self.replaced(0)
        await self.replaced(1)

    async def replaced(self, place):
        """A process starts, in that one's place if there is one."""
        self.processes[place : place + 1] = [Process(self.lab, self.memory)]
        await self.lab.seconds.settled(len(self.processes))
        self.swept()

    async def second_passes(self):
        await self.lab.seconds.pass_one(len(self.processes))
        self.swept()

    def swept(self):
        """Every keeper ends what dead processes left, whoever left it."""
        for account in self.accounts:
            account.recovered()

    def service(self, place=0):
        return self.processes[place % 2].service

    async def started(self):
        started = await self.service().start_conversation(self.user_id)
        unused = [account.id for account in self.accounts if not account.used]
        assert unused in ([], [started])
        if not unused:
            self.accounts.append(Account(started))

    # What a person does

    async def send(self, account, step):
        await self.turn(account, Send(self.question(step.words)), step.who, step.ending)

    async def edit(self, account, step):
        questions = [m.id for m in account.visible if m.role == "user"]
        if not questions:
            return await self.send(account, step)
        move = Edit(questions[step.which % len(questions)], self.question(step.words))
        await self.turn(account, move, step.who, step.ending)

    async def regenerate(self, account, step):
        if account.head is None:
            return await self.send(account, step)
        await self.turn(account, Regenerate(account.head), step.who, step.ending)

    async def go_on(self, account, step):
        last = account.said.get(account.head)
        if last is None or not last.text or last.state not in CONTINUABLE:
            return await self.send(account, step)
        await self.turn(account, Continue(last.id), step.who, step.ending)

    async def undo(self, account, step):
        if account.head is not None:
            await self.undone(account, step.who)

    async def show_next_version(self, account, step):
        offered = account.versions()
        if offered:
            await self.shown_next(account, offered[step.which % len(offered)][0], step.who)

    async def recall(self, account, step):
        await self.recalled(account, step.who)

    async def start_conversation(self, account, step):
        if len(self.accounts) < 3:
            await self.started()

    async def delete(self, account, step):
        await self.deleted(account, step.who)

    # What happens to the processes and to Ark

    async def restart(self, step):
        if self.lab.memory == "changing":
            self.memory = ("context", "responses", "chat")[step.which % 3]
        await self.restarted()

    async def ark_forgets(self, step):
        # A response's expiry is asked for in real time, which does not jump.
        if step.which % 2 and self.lab.memory == "context":
            self.ark.clock.advance(3601)
        else:
            for ref in [*self.ark.contexts, *self.ark.responses]:
                self.ark.forget(ref)

    async def memory_is_known_to_have_expired(self, step):
        await self.lab.storage.write(Conversation.update(memory_expires_at=now()).execute)

    # How it is done

    def question(self, words):
        self.asked += 1
        return words.format(f"q{self.asked}")

    async def turn(self, account, move, who, ending):
        """One turn from its beginning to its end, with all that must be seen of it."""
        await self.lab.ark_is_idle()
        self.ark.requests.clear()
        if ending.how == "crash at the end":
            self.lab.dying.add(self.processes[who % 2].runner.worker)
        turn = await self.processes[who % 2].runner.start(self.user_id, account.id, move)
        # Nothing has run since it was started, so its request has not been made.
        self.prepare(ending, turn.started.ref)
        reply = await self.registered(account, move, turn)
        question = account.said[reply.parent]
        prompt = [SYSTEM, *account.remembered(question.parent), ("user", question.text)]
        if reply.text:
            prompt += [("assistant", reply.text), ("user", CONTINUE)]
        scripted = reply_to([{"role": role, "content": text} for role, text in prompt])
        answer = scripted.content
        thought = reply.thought + scripted.reasoning
        part = reply.text + "".join(pieces(answer)[: ending.after])

        if ending.how in WHILE_IT_RUNS:
            await self.fell_silent(turn, part, thought)
            await self.others_are_refused(account, reply)
            self.given(prompt)
            end = getattr(self, f"ends_by_{ending.how}")
            await end(account, reply, turn, who, (part, thought), ending)
        elif ending.how == "crash at the end":
            whole = reply.text + answer
            await grown(turn, len(whole))
            await self.ends_by_crash(account, reply, turn, who, (whole, thought), ending)
        else:
            await finished(turn)
            self.settle(reply, ending.how, reply.text + answer, part, thought)
            if ending.how in ("complete", *IN_MID_REPLY):
                self.given(prompt)
        await self.lab.ark_is_idle()
        assert not self.ark.pending_faults()

    def prepare(self, ending, ref):
        faults = BEFORE_THE_FIRST_WORD.get(ending.how, [])
        if ending.how in IN_MID_REPLY:
            faults = [IN_MID_REPLY[ending.how](after=ending.after)]
        if ending.how in WHILE_IT_RUNS:
            faults = [Fault.silence(after=ending.after)]
        if ref is not None and not self.is_known(ref) and ending.how not in BEFORE_THE_FIRST_WORD:
            # One is lost on the call which is told that the memory is gone.
            faults = faults * 2
        for fault in faults:
            self.ark.fail_next(fault)

    def is_known(self, ref):
        context = self.ark.contexts.get(ref)
        if context is not None:
            return context.expires_at > self.ark.clock.now()
        return ref in self.ark.responses

    async def registered(self, account, move, turn):
        row = await self.lab.storage.read(Message.get_by_id, turn.started.reply_id)
        return account.begin(move, row.parent_id, row.id)

    async def fell_silent(self, turn, part, thought):
        async with asyncio.timeout(10):
            while (turn.text, turn.turn.thought) != (part, thought) or not self.reached():
                await asyncio.sleep(0)

    def reached(self):
        """Whether Ark has begun to answer."""
        asked = [r for r in self.ark.requests if not r.path.endswith("create")]
        return bool(asked) and asked[-1].status == 200

    async def others_are_refused(self, account, reply):
        for place in (0, 1):
            with pytest.raises(TurnRunning):
                await self.service(place).send(self.user_id, account.id, "not now")
            with pytest.raises(TurnRunning):
                await self.service(place).undo(self.user_id, account.id, reply.id)

    def given(self, prompt):
        """Where the history travels with the question, all of it can be seen."""
        request = self.ark.requests[-1]
        if request.path.endswith("v3/chat/completions"):
            assert [(m["role"], m["content"]) for m in request.body["messages"]] == prompt

    def settle(self, reply, how, whole, part, thought):
        if how not in ("busy", "broken", "refused", "moderated"):
            reply.thought = thought
        match how:
            case "complete" | "busy once" | "broken twice":
                reply.text, reply.state = whole, "complete"
            case "moderated":
                reply.state = "filtered"
            case "content_filter":
                reply.text, reply.state = part, "filtered"
            case "length":
                reply.text = part
                reply.state = "length" if part else "failed"
            case "drop" | "error":
                reply.text = part
                reply.state = "interrupted" if part else "failed"
            case "busy" | "broken" | "refused":
                reply.state = "interrupted" if reply.text else "failed"

    async def ends_by_stop(self, account, reply, turn, who, said, ending):
        await self.service(who + ending.elsewhere).stop(self.user_id, account.id)
        if ending.elsewhere:
            await self.second_passes()
        await finished(turn)
        reply.text, reply.thought = said
        reply.state = "stopped"

    async def ends_by_close(self, account, reply, turn, who, said, ending):
        await self.processes[who % 2].runner.close()
        reply.text, reply.thought = said
        reply.state = "interrupted" if reply.text else "failed"
        await self.replaced(who % 2)

    async def ends_by_delete(self, account, reply, turn, who, said, ending):
        await self.deleted(account, who + ending.elsewhere)
        if ending.elsewhere:
            await self.second_passes()
        await finished(turn)

    async def ends_by_crash(self, account, reply, turn, who, said, ending):
        if ending.saved:
            await self.second_passes()
            reply.text, reply.thought = said
        await self.processes[who % 2].kill()
        self.lab.storage.close()
        self.lab.storage = open_storage(self.lab.url())
        await self.replaced(who % 2)
        # The lease is still running, so the process might be alive.
        await self.others_are_refused(account, reply)
        await self.check()
        await self.lease_runs_out()
        account.orphan = reply.id
        if ending.recovered:
            await self.second_passes()

    async def ends_by_sleep(self, account, reply, turn, who, said, ending):
        """Its process sleeps through the lease, and others take it for dead; then it wakes up."""
        if ending.saved:
            await self.second_passes()
            reply.text, reply.thought = said
        await self.lease_runs_out()
        account.orphan = reply.id
        if ending.recovered:
            await self.lab.storage.write(turns.recover, is_gone)
            account.recovered()
        else:
            # The request of the one who sleeps is not over, and nobody's concern.
            self.ark.requests.clear()
            goes_on = ending.elsewhere and reply.text
            move = Continue(reply.id) if goes_on else Send(self.question(WORDS[0]))
            await self.turn(account, move, who + 1, Ending("complete"))
        await self.second_passes()
        await finished(turn)
        late, thought = said
        if ending.recovered:
            reply.text, reply.thought, reply.state = late, thought, "stopped"
        elif not reply.text.startswith(late):
            await self.kept_beside(account, reply, said)

    async def kept_beside(self, account, reply, said):
        """What came too late is another version of the reply."""
        newest = Message.select().order_by(Message.id.desc())
        row = await self.lab.storage.read(newest.get)
        account.said[row.id] = Said(row.id, reply.parent, "assistant", said[0], "stopped", said[1])

    async def lease_runs_out(self):
        past = Turn.update(lease_until=now() - timedelta(seconds=1))
        await self.lab.storage.write(past.execute)

    async def undone(self, account, who):
        reply = account.said[account.head]
        question = account.said[reply.parent]
        words = await self.service(who).undo(self.user_id, account.id, reply.id)
        assert words == question.text
        account.head = question.parent

    async def shown_next(self, account, message_id, who):
        await self.service(who).show_version(self.user_id, account.id, message_id, 1)
        account.show_next(message_id)

    async def recalled(self, account, who):
        """Asked, compared and taken back; what comes of taking it back is compared as well."""
        expected = [SYSTEM, *account.remembered(account.last_answered())]
        await self.turn(account, Send("recall"), who, Ending("complete"))
        told = json.loads(account.said[account.head].text)
        assert [tuple(line) for line in told] == expected
        await self.undone(account, who)

    async def deleted(self, account, who):
        await self.service(who).delete(self.user_id, account.id)
        self.accounts.remove(account)
        with pytest.raises(ConversationNotFound):
            await self.service(who + 1).open(self.user_id, account.id, 1)
        if not self.accounts:
            await self.started()

    async def restarted(self):
        for process in self.processes:
            await process.runner.close()
        self.lab.storage.close()
        self.processes.clear()
        await self.opened()

    # What must be true

    async def check(self):
        rows = await self.lab.storage.read(_all_messages)
        assert {
            row.id: (conversation_id, row.parent_id, row.role, row.content, row.thought, row.state)
            for conversation_id, row in rows
        } == {
            m.id: (account.id, m.parent, m.role, m.text, m.thought, m.state)
            for account in self.accounts
            for m in account.said.values()
        }
        listed = await self.service().list_conversations(self.user_id)
        assert {entry.id for entry in listed} == {account.id for account in self.accounts}
        for account in self.accounts:
            await self.check_view(account)
            await self.check_memory(account)
        await self.check_purse()

    async def check_view(self, account):
        thread = await self.service().open(self.user_id, account.id, 1000)
        assert [(m.id, m.role, m.content, m.state) for m in thread.messages] == [
            (m.id, m.role, m.text, m.state) for m in account.visible
        ]
        offered = [(v.message_id, v.number, v.count) for v in thread.versions]
        # While a reply is written there is nothing to choose.
        assert offered == ([] if thread.running_reply else account.versions())

    async def check_purse(self):
        """Each reply has the numbers of the ledger, and each conversation those of its replies."""

        def look():
            stored = {}
            for turn in Turn.select().where(Turn.state != "streaming"):
                numbers = stored.setdefault((turn.conversation_id, turn.reply_id), Counter())
                numbers.update({name: getattr(turn, name) for name in NUMBERS})
            for conversation_id, reply in _all_messages():
                key = uuid.UUID(conversation_id), reply.id
                shown = {name: getattr(reply, name) or 0 for name in NUMBERS}
                assert shown == stored.get(key, shown | dict.fromkeys(NUMBERS, 0))
            return stored

        stored = await self.lab.storage.read(look)
        while True:
            opened = [await self.service().open(self.user_id, one.id, 1) for one in self.accounts]
            before, stored = stored, await self.lab.storage.read(look)
            # What a dead process has left may be settled between two looks.
            if before == stored:
                break
        for account, thread in zip(self.accounts, opened, strict=True):
            totals = thread.totals
            mine = [numbers for (one, _), numbers in stored.items() if str(one) == account.id]
            sums = [sum(numbers[name] for numbers in mine) for name in NUMBERS]
            shown = [totals.prompt, totals.cached, totals.completion, totals.micro_yuan]
            assert shown == sums

    async def check_memory(self, account):
        """What is said to be known at Ark is known there, to the letter."""
        row = await self.lab.storage.read(Conversation.get_by_id, account.id)
        held = self.ark.contexts.get(row.memory_ref) or self.ark.responses.get(row.memory_ref)
        if row.memory_upto is not None and held is not None:
            known = [(m["role"], m["content"]) for m in held.messages]
            assert known == [SYSTEM, *account.remembered(row.memory_upto)]

    async def come_back(self):
        """On another day everything is looked at once more."""
        await self.restarted()
        for account in self.accounts:
            await self.recalled(account, 0)
            # What was taken back is seen again as soon as something is asked in its place.
            await self.turn(account, Send(self.question(WORDS[0])), 0, Ending("complete"))
            seen = set()
            await self.walk(account, 0, seen)
            assert seen == set(account.said)
        assert (
            await self.lab.storage.read(Turn.select().where(Turn.state == "streaming").count) == 0
        )

    async def walk(self, account, depth, seen):
        """Every version of every message from this depth on, as a person would look them up."""
        if depth == len(account.visible):
            await self.check_view(account)
            seen.update(m.id for m in account.visible)
            return
        for _ in account.places(account.visible[depth]):
            await self.walk(account, depth + 1, seen)
            message = account.visible[depth]
            if len(account.places(message)) > 1:
                await self.shown_next(account, message.id, 0)


def _all_messages():
    """Every message as it would be shown, with its conversation's id."""
    return [
        (str(row.conversation_id), messages.shown_branch(row.id, 1)[0])
        for row in Message.select(Message.id, Message.conversation)
    ]


@pytest.fixture
def seconds(monkeypatch):
    passing = Seconds()
    monkeypatch.setattr("chatbot.turns.keeper.asyncio", passing)
    monkeypatch.setattr("chatbot.turns.keeper.RECOVER_TICKS", 1)
    monkeypatch.setattr("chatbot.ark.memory.choose.RETRY_SECONDS", 0)
    return passing


@pytest.fixture
def dying(monkeypatch):
    """Put a worker in, and it never gets through with a final save."""
    workers = set()
    finish = turns.finish

    def finish_or_die(turn, *ending):
        finish(turn, *ending)
        if Turn.get_by_id(turn.id).worker in workers:
            raise Killed

    monkeypatch.setattr(turns, "finish", finish_or_die)
    return workers


@pytest.fixture(params=["context", "responses", "chat", "changing"])
def lab(request, tmp_path, ark, seconds, dying):
    with asyncio.Runner() as runner:
        client = ArkClient(
            api_key="test-key", base_url=ark.base_url, first_token_seconds=20, idle_seconds=20
        )
        yield Lab(tmp_path, ark, seconds, request.param, runner, client, dying)
        runner.run(client.close())


def told(ending):
    """The story of a turn that ends like this between two that go well."""
    steps = [
        Step(None, "send", 0, 0, 0, WORDS[0], how)
        for how in (Ending("complete"), ending, Ending("complete"))
    ]
    return example(keeps_partial=True, shape="not_found", steps=steps)


@told(Ending("stop", 3))
@told(Ending("crash", 3, recovered=True))
@told(Ending("crash at the end", recovered=True))
@told(Ending("sleep", 3, saved=True))
@settings(settings.get_profile(PROFILE))
@given(
    keeps_partial=st.booleans(),
    shape=st.sampled_from(["not_found", "previous_response", "previous_response_param"]),
    steps=STORIES,
)
def test_nothing_is_lost_and_the_memory_is_what_is_seen(lab, keeps_partial, shape, steps):
    lab.runner.run(Story(lab, keeps_partial, shape).play(steps))


# Stories that made-up ones cannot tell, because they need a moment between two steps.


async def last_of(chat, conversation_id):
    return (await chat.messages(conversation_id))[-1]


async def known_to_the_model(chat, conversation_id):
    reply = await chat.ask(conversation_id, "recall")
    return [tuple(line) for line in json.loads(reply.content)]


async def asleep_through_its_lease(chat, conversation_id, save):
    """A turn that has saved what came, in a process which then sleeps for too long."""
    turn = await chat.send(conversation_id, "count 30")
    await grown(turn, len("1 2 3"))
    await save()
    past = Turn.update(lease_until=now() - timedelta(seconds=1))
    await chat.storage.write(past.where(Turn.conversation == conversation_id).execute)
    return turn


@pytest.mark.anyio
async def test_a_process_that_slept_leaves_alone_what_another_went_on_with(open_chat, ark, seconds):
    async with open_chat() as here, open_chat(beside=here) as there:
        one = await here.started()
        ark.fail_next(Fault.silence(after=3))
        turn = await asleep_through_its_lease(here, one, partial(seconds.pass_one, 2))
        await finished(await there.go_on(one, turn.started.reply_id))
        whole = (await last_of(there, one)).content
        assert whole.endswith(" 30")
        await seconds.pass_one(2)
        await finished(turn)
        assert (await last_of(there, one)).content == whole
        assert await known_to_the_model(there, one) == [
            SYSTEM, ("user", "count 30"), ("assistant", whole),
        ]  # fmt: skip


@pytest.mark.anyio
async def test_what_a_process_adds_after_its_lease_is_not_slipped_under_the_memory(
    open_chat, ark, seconds
):
    async with open_chat() as here, open_chat(beside=here) as there:
        one = await here.started()
        ark.fail_next(Fault.silence(after=3, seconds=0.3))
        turn = await asleep_through_its_lease(here, one, partial(seconds.pass_one, 2))
        await there.ask(one, "echo: two")
        await finished(turn)
        seen = [(m.role, m.content) for m in await there.messages(one)]
        assert await known_to_the_model(there, one) == [SYSTEM, *seen]


@pytest.mark.anyio
async def test_what_a_process_adds_after_its_lease_is_kept_as_a_version(open_chat, ark, seconds):
    async with open_chat() as here, open_chat(beside=here) as there:
        one = await here.started()
        ark.fail_next(Fault.silence(after=3, seconds=0.3))
        turn = await asleep_through_its_lease(here, one, partial(seconds.pass_one, 2))
        await there.ask(one, "echo: two")
        await finished(turn)
        kept = await here.storage.read(lambda: [m.content for m in Message.select()])
        assert turn.text in kept


@pytest.mark.anyio
async def test_one_process_never_runs_two_turns_in_a_conversation(open_chat, ark, seconds):
    async with open_chat() as chat:
        one = await chat.started()
        ark.fail_next(Fault.silence(after=3))
        turn = await asleep_through_its_lease(chat, one, partial(seconds.pass_one, 1))
        with pytest.raises(TurnRunning):
            await chat.send(one, "echo: two")
        await seconds.pass_one(1)
        await chat.service.stop(chat.user_id, one)
        await finished(turn)


@pytest.mark.anyio
async def test_a_save_that_comes_too_late_changes_nothing(chat, ark):
    """The keeper has looked at a reply, which then ends before its transaction begins."""
    one = await chat.started()
    reply = await chat.ask(one, "echo: one")
    ark.fail_next(Fault.silence(after=1))
    # The same process holds the conversation again by then.
    turn = await chat.send(one, "count 9")
    (ended, _) = await stored_turns(chat)
    late = [Progress(ended.id, reply.id, "o", "")]
    await chat.storage.write(turns.save, chat.runner.worker, 10, late)
    assert (await chat.messages(one))[1].content == "one"
    await chat.service.stop(chat.user_id, one)
    await finished(turn)


@pytest.mark.anyio
async def test_a_stranger_is_not_told_that_a_turn_runs(chat, ark):
    ark.fail_next(Fault.silence(after=3))
    one = await chat.started()
    turn = await chat.send(one, "count 30")
    stranger = await chat.user("eve")
    try:
        with pytest.raises(ConversationNotFound):
            await chat.service.send(stranger, one, "hello")
    finally:
        await chat.service.stop(chat.user_id, one)
        await finished(turn)


@pytest.fixture
def slow_begin(monkeypatch):
    """The transaction that begins a turn waits: two events, `started` and `go_on`."""
    moments = SimpleNamespace(started=threading.Event(), go_on=threading.Event())
    start = turns.start

    def start_slowly(*args):
        moments.started.set()
        assert moments.go_on.wait(20)
        return start(*args)

    monkeypatch.setattr(turns, "start", start_slowly)
    yield moments
    moments.go_on.set()


@pytest.mark.anyio
async def test_whoever_leaves_while_the_question_is_stored_still_gets_the_answer(
    open_chat, slow_begin, monkeypatch
):
    monkeypatch.setattr("chatbot.turns.keeper.LEASE_SECONDS", 0.5)
    monkeypatch.setattr("chatbot.turns.keeper.SAVE_SECONDS", 0.05)
    async with open_chat() as chat:
        one = await chat.started()
        sending = asyncio.create_task(chat.send(one, "echo: one"))
        await asyncio.to_thread(slow_begin.started.wait, 20)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        slow_begin.go_on.set()
        async with asyncio.timeout(20):
            while not (said := await chat.messages(one)) or said[-1].state == "streaming":
                await asyncio.sleep(0.01)
        assert [m.content for m in said] == ["echo: one", "one"]


@pytest.mark.anyio
async def test_a_turn_that_begins_while_the_process_ends_is_ended_as_well(open_chat, slow_begin):
    async with open_chat() as chat:
        one = await chat.started()
        sending = asyncio.create_task(chat.send(one, "echo: one"))
        await asyncio.to_thread(slow_begin.started.wait, 20)
        closing = asyncio.create_task(chat.runner.close())
        # Until it waits for nothing or for what is being begun.
        await asyncio.sleep(0)
        slow_begin.go_on.set()
        await closing
        await asyncio.gather(sending, return_exceptions=True)
        assert (await last_of(chat, one)).state != "streaming"


@pytest.mark.anyio
async def test_a_continued_reply_keeps_its_thoughts(open_chat, ark):
    async with open_chat(memory="chat") as chat:
        one = await chat.started()
        ark.fail_next(Fault.drop(after=3))
        before = await chat.ask(one, "think")
        assert before.thought
        await finished(await chat.go_on(one, before.id))
        after = await last_of(chat, one)
        assert after.content.startswith(before.content)
        assert after.thought.startswith(before.thought)
