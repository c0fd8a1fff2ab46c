"""The transactions of a turn: begin it, save it as it grows, finish it, recover it.

Each function is one transaction (`Storage.write`). Who may begin is decided here, where two
processes on one database cannot both be right.
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import peewee
from peewee import SQL, Case, fn

from chatbot.errors import ChangedElsewhere, TooManyTurns
from chatbot.storage.fields import now
from chatbot.storage.models import (
    Conversation,
    Message,
    Role,
    State,
    Usage,
    User,
    database,
    prepared,
)

TITLE_CHARS = 60
PROCESS_DIED = "process_died"
NOT_SAVED = "not_saved"
_STREAMING = Message.state == State.STREAMING
EXPIRY_MARGIN = timedelta(seconds=10)
"""A memory that expires within this is taken as expired."""


@dataclass(frozen=True)
class Send:
    """A new question at the end of the visible branch."""

    text: str


@dataclass(frozen=True)
class Edit:
    """Another version of an earlier question; the branch of the old one is kept."""

    question_id: int
    text: str


@dataclass(frozen=True)
class Regenerate:
    """Another reply to the question of the newest reply, which is kept."""

    reply_id: int


@dataclass(frozen=True)
class Continue:
    """More of the newest reply, which ended early."""

    reply_id: int


TurnRequest = Send | Edit | Regenerate | Continue
"""What a person can start a turn with."""


@dataclass(frozen=True)
class TurnOptions:
    """Under what a turn is begun: by which process, with which model and memory."""

    model: str
    memory_kind: str
    owner: str
    lease_seconds: float
    max_turns_per_user: int
    prompt_hash: str
    """Of the system prompt, which a memory holds as well."""


@dataclass(frozen=True)
class StartedTurn:
    """A turn that holds its conversation's lock and has its rows."""

    user_id: int
    conversation_id: uuid.UUID
    before_id: int | None
    """The message the question follows; None at the start of a conversation."""
    question: str
    reply_id: int
    prefix: str
    """The text of the reply so far, when it is continued."""
    prefix_thought: str
    stored: str
    """The ids under which Ark stores the reply so far, separated by spaces."""
    ref: str | None
    """What Ark holds, if that is exactly the branch up to `before_id`."""
    held_tokens: int | None
    """The most tokens that Ark holds under `ref`, as far as anybody knows."""


@dataclass(frozen=True)
class Progress:
    """What is stored of a reply while it grows; without text, only that it still does."""

    reply_id: int
    content: str | None
    thought: str | None


@dataclass(frozen=True)
class Outcome:
    """How a turn ended. `ref` is None unless Ark now holds exactly the visible branch."""

    state: State
    content: str
    thought: str
    error: str
    notes: str
    model: str
    memory_kind: str
    ref: str | None
    stored: str
    ref_expires_at: datetime | None
    held_tokens: int
    """The most tokens that Ark holds under `ref`."""
    first_token_ms: int | None
    request_id: str


def begin(user_id: int, conversation_id: str, move: TurnRequest, terms: TurnOptions) -> StartedTurn:
    """Store what was asked and an empty reply, and take the conversation's turn lock.

    Raises `ConversationNotFound`, `TurnRunning`, `TooManyTurns`, `ChangedElsewhere`.
    """
    conversation = _claimed(user_id, conversation_id, terms)
    match move:
        case Send(text):
            before = _last_answered(conversation)
            question = _create_question(conversation, before, text)
            reply = _create_reply(conversation, question)
        case Edit(question_id, text):
            old = _message(conversation, question_id, Role.USER)
            before = old.parent
            question = _create_question(conversation, before, text)
            reply = _create_reply(conversation, question)
        case Regenerate(reply_id):
            question = _newest_reply(conversation, reply_id).parent
            before = question.parent
            reply = _create_reply(conversation, question)
        case Continue(reply_id):
            reply = _newest_reply(conversation, reply_id)
            question = reply.parent
            before = question.parent
            Message.update(state=State.STREAMING, stop_asked=False, error="").where(
                Message.id == reply.id
            ).execute()
    continued = isinstance(move, Continue)
    # A context cannot be asked to go on from the middle of a reply: it is built anew.
    ref = None if continued else _usable_ref(conversation, before, terms)
    _change(
        conversation.id,
        head_id=reply.id,
        title=conversation.title or title_of(question.content),
        updated_at=now(),
        # From here until the turn has ended well nobody can say what Ark holds.
        memory_upto=None,
        prompt_hash=terms.prompt_hash,
    )
    return StartedTurn(
        user_id=user_id,
        conversation_id=conversation.id,
        before_id=before.id if before else None,
        question=question.content,
        reply_id=reply.id,
        prefix=reply.content if continued else "",
        prefix_thought=reply.thought if continued else "",
        stored=reply.ref or "",
        ref=ref,
        held_tokens=conversation.memory_tokens if ref else None,
    )


def save(
    owner: str, lease_seconds: float, running: Iterable[tuple[uuid.UUID, Progress]]
) -> set[int]:
    """Store what has grown and renew the leases; returns the replies that have to stop."""
    until = now() + timedelta(seconds=lease_seconds)
    replies = []
    lost = set()
    for conversation_id, progress in running:
        if not Conversation.renew_turn(conversation_id, owner, until):
            # Deleted, or taken over while this process slept through its lease.
            lost.add(progress.reply_id)
            continue
        if progress.content is not None:
            _grow(conversation_id, progress.reply_id, progress.content, progress.thought)
        replies.append(progress.reply_id)
    asked = Message.select(Message.id).where(Message.id.in_(replies), Message.stop_asked)
    return lost | {message.id for message in asked}


def finish(begun: StartedTurn, owner: str, outcome: Outcome, usage_id: int) -> None:
    """Store how the turn ended, and release the lock. Its row in the ledger is settled already.

    When the lease had run out and somebody has gone on since, the text becomes another version
    of the reply: neither the visible branch nor what is known of the memory changes.
    """
    freed = _release(
        begun.conversation_id,
        owner,
        turn_owner=None,
        turn_until=None,
        updated_at=now(),
        model=outcome.model,
        memory_kind=outcome.memory_kind,
        memory_ref=outcome.ref,
        memory_expires_at=outcome.ref_expires_at,
        memory_upto=begun.reply_id if outcome.ref else None,
        memory_tokens=outcome.held_tokens,
    )
    values = {
        "content": outcome.content,
        "thought": outcome.thought,
        "state": outcome.state,
        "error": outcome.error,
        "notes": outcome.notes,
        "finished_at": now(),
        "model": outcome.model,
        "ref": outcome.stored or None,
        "first_token_ms": outcome.first_token_ms,
        "request_id": outcome.request_id,
    }
    if freed or _recovered(begun, outcome):
        _end(begun.conversation_id, begun.reply_id, **values)
    else:
        reply: Any = Message.get_or_none(
            Message.id == begun.reply_id, Message.conversation == begun.conversation_id
        )
        if reply is not None and not reply.content.startswith(outcome.content):
            version = Message.create(
                conversation=reply.conversation_id,
                parent=reply.parent_id,
                role=Role.ASSISTANT,
                **values,
            )
            Usage.change(usage_id, reply_id=version.id)
            _count(begun.conversation_id, version.id)
    _count(begun.conversation_id, begun.reply_id)


def give_up(begun: StartedTurn, owner: str) -> None:
    """End a turn whose text cannot be stored, and release the lock: what was stored of it while
    it grew stays."""
    _release(begun.conversation_id, owner, turn_owner=None, turn_until=None, memory_upto=None)
    _ended(now(), NOT_SAVED).where(
        Message.id == begun.reply_id, Message.conversation == begun.conversation_id, _STREAMING
    ).execute()
    _count(begun.conversation_id, begun.reply_id)


def _count(conversation_id: uuid.UUID, reply_id: int) -> None:
    """Give a reply the numbers that the ledger has for it, so that the two never differ."""
    used = Usage.of_reply(conversation_id, reply_id)
    _end(conversation_id, reply_id, **used._asdict())


def recover() -> int:
    """End the replies whose process has died: keep their text, say so. Returns how many.

    A reply is orphaned when nobody's lease on its conversation is running. A reservation without
    a reply that is being written is settled as it is: it is the most that the turn can have used.
    """
    alive = Conversation.select(Conversation.id).where(Conversation.lease_runs())
    Conversation.update(turn_owner=None, turn_until=None).where(
        Conversation.turn_until.is_null(False), ~Conversation.lease_runs()
    ).execute()
    orphaned = _STREAMING & Message.conversation.not_in(alive)
    ended = int(_ended(now()).where(orphaned).execute())
    running = Message.select(SQL("1")).where(
        Message.id == Usage.reply_id, Message.conversation == Usage.conversation_id, _STREAMING
    )
    abandoned: Any = Usage.select(Usage.id, Usage.conversation_id, Usage.reply_id).where(
        ~Usage.settled, ~fn.EXISTS(running)
    )
    for row in list(abandoned):
        Usage.change(row.id, settled=True)
        if row.conversation_id is not None:
            _count(row.conversation_id, row.reply_id)
    return ended


def _ended(at: Any, error: str = PROCESS_DIED) -> Any:
    """The update that ends replies of which no more will be stored."""
    kept = Case(None, [(Message.content != "", State.INTERRUPTED)], State.FAILED)
    return Message.update(state=kept, error=error, finished_at=at)


def ask_to_stop(user_id: int, conversation_id: str) -> int | None:
    """Mark the running reply to be stopped by whoever writes it; its id, or None if none runs."""
    conversation = Conversation.of(user_id, conversation_id)
    if not conversation.turn_is_running:
        return None
    Message.update(stop_asked=True).where(
        Message.id == conversation.head_id, Message.state == State.STREAMING
    ).execute()
    return conversation.head_id


def title_of(question: str) -> str:
    """The first line of a question, short enough for a list."""
    line = " ".join(question.split())
    return line if len(line) <= TITLE_CHARS else line[: TITLE_CHARS - 1].rstrip() + "…"


def _claimed(user_id: int, conversation_id: str, terms: TurnOptions) -> Any:
    """The user's conversation, locked for a turn, with nothing left over from a dead process."""
    if isinstance(database.obj, peewee.PostgresqlDatabase):
        # Of two processes that count a person's turns at once, one waits here for the other;
        # SQLite has one writer at a time.
        _hold(user_id)
    busy = Conversation.running_turns(user_id)
    until = now() + timedelta(seconds=terms.lease_seconds)
    conversation = Conversation.claimed(user_id, conversation_id, terms.owner, until)
    if busy >= terms.max_turns_per_user:
        raise TooManyTurns()
    _end_orphans(conversation.id, now())
    return conversation


def _create_question(conversation: Any, before: Any, text: str) -> Any:
    return Message.add(conversation, before, role=Role.USER, content=text)


def _create_reply(conversation: Any, question: Any) -> Any:
    return Message.add(conversation, question, role=Role.ASSISTANT, state=State.STREAMING)


def _recovered(begun: StartedTurn, outcome: Outcome) -> bool:
    """Whether the turn was ended as one of a dead process, and nobody has gone on since. What
    Ark holds by now is not known then."""
    untouched = Message.select(Message.id).where(
        Message.id == begun.reply_id, Message.error == PROCESS_DIED
    )
    changed = Conversation.update(
        updated_at=now(),
        model=outcome.model,
        memory_kind=outcome.memory_kind,
        memory_ref=None,
        memory_upto=None,
    ).where(
        Conversation.id == begun.conversation_id,
        Conversation.turn_owner.is_null(),
        Conversation.head_id.in_(untouched),
    )
    return bool(changed.execute())


@prepared
def _hold(user_id: Any) -> Any:
    return User.update(name=User.name).where(User.id == user_id)


@prepared
def _end_orphans(conversation_id: Any, at: Any) -> Any:
    """End the streaming replies of a conversation whose lock is the caller's own."""
    return _ended(at).where(_STREAMING, Message.conversation == conversation_id)


@prepared
def _change(conversation_id: Any, **values: Any) -> Any:
    return Conversation.update(**values).where(Conversation.id == conversation_id)


@prepared
def _release(conversation_id: Any, owner: Any, **values: Any) -> Any:
    return Conversation.update(**values).where(
        Conversation.id == conversation_id, Conversation.turn_owner == owner
    )


@prepared
def _end(conversation_id: Any, reply_id: Any, **values: Any) -> Any:
    # SQLite gives the id of a deleted row to a new one, which may be somebody else's.
    return Message.update(**values).where(
        Message.id == reply_id, Message.conversation == conversation_id
    )


@prepared
def _grow(conversation_id: Any, reply_id: Any, content: Any, thought: Any) -> Any:
    # The final save may have come first.
    return Message.update(content=content, thought=thought).where(
        Message.id == reply_id, Message.conversation == conversation_id, _STREAMING
    )


def _message(conversation: Any, message_id: int, role: Role) -> Any:
    found = Message.get_or_none(
        Message.id == message_id, Message.conversation == conversation, Message.role == role
    )
    if found is None:
        raise ChangedElsewhere()
    return found


def _newest_reply(conversation: Any, reply_id: int) -> Any:
    if conversation.head_id != reply_id:
        raise ChangedElsewhere()
    return _message(conversation, reply_id, Role.ASSISTANT)


def _last_answered(conversation: Any) -> Any:
    """The end of the visible branch; a turn that got no text at all gives up its place."""
    reply: Any = Message.at(conversation.head_id)
    while reply is not None and not reply.content:
        question: Any = Message.at(reply.parent_id)
        reply = Message.at(question.parent_id) if question else None
    return reply


def _usable_ref(conversation: Any, before: Any, terms: TurnOptions) -> str | None:
    """What Ark holds, if it has not expired and holds exactly the branch up to `before`."""
    expires_at = conversation.memory_expires_at
    usable = (
        before is not None
        and conversation.memory_upto == before.id
        and conversation.memory_kind == terms.memory_kind
        and conversation.model == terms.model
        and conversation.prompt_hash == terms.prompt_hash
        and expires_at is not None
        and expires_at > now() + EXPIRY_MARGIN
    )
    return conversation.memory_ref if usable else None
