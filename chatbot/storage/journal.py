"""The transactions of a turn: begin it, save it as it grows, finish it, recover it.

Each function is one transaction (`Storage.write`). Who may begin is decided here, where two
processes on one database cannot both be right.
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from chatbot.errors import TooManyTurns, TurnRunning
from chatbot.storage.fields import now
from chatbot.storage.models import Conversation, Message, Role, State, Usage

TITLE_CHARS = 60
EXPIRY_MARGIN = timedelta(seconds=10)
"""A memory that expires within this is taken as expired."""


@dataclass(frozen=True)
class Begun:
    """A turn that holds its conversation's lock and has its rows."""

    user_id: int
    conversation_id: uuid.UUID
    before_id: int | None
    """The message the question follows; None at the start of a conversation."""
    question_id: int
    reply_id: int
    question: str
    ref: str | None
    """What Ark holds, if that is exactly the branch up to `before_id`."""


@dataclass(frozen=True)
class Progress:
    """What is stored of a reply while it grows."""

    reply_id: int
    content: str
    thought: str


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
    ref_expires_at: datetime | None
    prompt_tokens: int | None
    cached_tokens: int | None
    completion_tokens: int | None
    reasoning_tokens: int | None
    first_token_ms: int | None


def begin(
    user_id: int,
    conversation_id: str,
    question: str,
    *,
    model: str,
    memory_kind: str,
    owner: str,
    lease_seconds: float,
    max_turns_per_user: int,
) -> Begun:
    """Store the question and an empty reply, and take the conversation's turn lock.

    Raises `ConversationNotFound`, `TurnRunning`, `TooManyTurns`.
    """
    conversation = Conversation.of(user_id, conversation_id)
    until = now() + timedelta(seconds=lease_seconds)
    busy = Conversation.running_turns(user_id)
    if not Conversation.claim_turn(conversation.id, owner, until):
        raise TurnRunning()
    if busy >= max_turns_per_user:
        raise TooManyTurns()
    recover(conversation.id)
    before = _last_answered(conversation)
    asked = Message.create(
        conversation=conversation, parent=before, role=Role.USER, content=question
    )
    reply = Message.create(
        conversation=conversation, parent=asked, role=Role.ASSISTANT, state=State.STREAMING
    )
    before_id = before.id if before else None
    same = (conversation.model, conversation.memory_kind) == (model, memory_kind)
    ref = _usable_ref(conversation, before) if same else None
    Conversation.update(
        head_id=reply.id,
        title=conversation.title or title_of(question),
        updated_at=now(),
        # From here until the turn has ended well nobody can say what Ark holds.
        memory_upto=None,
    ).where(Conversation.id == conversation.id).execute()
    return Begun(user_id, conversation.id, before_id, asked.id, reply.id, question, ref)


def save(
    owner: str, lease_seconds: float, running: Iterable[tuple[uuid.UUID, Progress]]
) -> set[int]:
    """Store what has grown and renew the leases; returns the replies somebody asked to stop."""
    until = now() + timedelta(seconds=lease_seconds)
    replies = []
    for conversation_id, progress in running:
        Conversation.renew_turn(conversation_id, owner, until)
        Message.update(content=progress.content, thought=progress.thought).where(
            # The final save may have come first.
            Message.id == progress.reply_id,
            Message.state == State.STREAMING,
        ).execute()
        replies.append(progress.reply_id)
    asked = Message.select(Message.id).where(Message.id.in_(replies), Message.stop_asked)
    return {message.id for message in asked}


def finish(begun: Begun, owner: str, outcome: Outcome) -> None:
    """Store how the turn ended, release the lock, and write the ledger."""
    Message.update(
        content=outcome.content,
        thought=outcome.thought,
        state=outcome.state,
        error=outcome.error,
        notes=outcome.notes,
        finished_at=now(),
        model=outcome.model,
        prompt_tokens=outcome.prompt_tokens,
        cached_tokens=outcome.cached_tokens,
        completion_tokens=outcome.completion_tokens,
        reasoning_tokens=outcome.reasoning_tokens,
        first_token_ms=outcome.first_token_ms,
    ).where(Message.id == begun.reply_id).execute()
    # A lease that ran out may have been taken over; the memory is then not ours to describe.
    Conversation.update(
        turn_owner=None,
        turn_until=None,
        updated_at=now(),
        model=outcome.model,
        memory_kind=outcome.memory_kind,
        memory_ref=outcome.ref,
        memory_expires_at=outcome.ref_expires_at,
        memory_upto=begun.reply_id if outcome.ref else None,
    ).where(Conversation.id == begun.conversation_id, Conversation.turn_owner == owner).execute()
    if outcome.prompt_tokens or outcome.completion_tokens:
        Usage.create(
            user_id=begun.user_id,
            conversation_id=begun.conversation_id,
            model=outcome.model,
            prompt_tokens=outcome.prompt_tokens or 0,
            cached_tokens=outcome.cached_tokens or 0,
            completion_tokens=outcome.completion_tokens or 0,
            reasoning_tokens=outcome.reasoning_tokens or 0,
        )


def recover(conversation_id: uuid.UUID | None = None) -> int:
    """End the replies whose process has died: keep their text, say so. Returns how many.

    A reply is orphaned when nobody's lease on its conversation is running. With a conversation
    given, its lock is the caller's own and every streaming reply in it is orphaned.
    """
    streaming = Message.state == State.STREAMING
    if conversation_id is not None:
        orphaned = streaming & (Message.conversation == conversation_id)
    else:
        alive = Conversation.select(Conversation.id).where(Conversation.turn_until > now())
        orphaned = streaming & Message.conversation.not_in(alive)
    ended = {"error": "process_died", "finished_at": now()}
    with_text = Message.update(state=State.INTERRUPTED, **ended).where(
        orphaned, Message.content != ""
    )
    without = Message.update(state=State.FAILED, **ended).where(orphaned, Message.content == "")
    return int(with_text.execute()) + int(without.execute())


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


def _last_answered(conversation: Conversation) -> Any:
    """The end of the visible branch; a turn that got no text at all gives up its place."""
    head_id = conversation.head_id
    while head_id is not None:
        turn: list[Any] = Message.branch(head_id, 2)
        if turn[-1].content:
            return turn[-1]
        head_id = turn[0].parent_id if turn[0].id != turn[-1].id else None
    return None


def _usable_ref(conversation: Conversation, before: Message | None) -> str | None:
    """What Ark holds, if it has not expired and holds exactly the branch up to `before`."""
    if conversation.memory_ref is None or conversation.memory_upto is None or before is None:
        return None
    expires_at = conversation.memory_expires_at
    if expires_at is None or expires_at < now() + EXPIRY_MARGIN:
        return None
    return conversation.memory_ref if conversation.memory_upto == before.id else None
