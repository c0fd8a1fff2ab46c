"""Turns: start, save while it grows, end, and recover after a dead process.

Call each public function in one write transaction (`Storage.write`). Whether a turn may start is
decided here, so that only one of two processes on one database succeeds.
"""

import uuid
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from chatbot.errors import ChangedElsewhere, TooManyTurns, TurnRunning
from chatbot.storage import attachments, conversations, messages
from chatbot.storage.current import now
from chatbot.storage.leases import STREAMING, runs
from chatbot.storage.prepared import prepared
from chatbot.storage.tables import Conversation, Message, Role, State, Turn
from chatbot.storage.turn_values import (
    Continue,
    Edit,
    Outcome,
    Progress,
    Regenerate,
    Send,
    Sign,
    StartedTurn,
    TurnOptions,
    TurnRequest,
)
from chatbot.usage import Numbers

TITLE_CHARS = 60
PROCESS_DIED = "process_died"
NOT_SAVED = "not_saved"
CONTINUABLE = (State.STOPPED, State.INTERRUPTED, State.LENGTH)
EXPIRY_MARGIN = timedelta(seconds=10)
"""A memory that expires within this time counts as expired."""

IsGone = Callable[[str], bool]
"""Whether the process of a turn is known to have ended; then its lease is ignored."""


def start(
    user_id: int,
    conversation_id: str,
    request: TurnRequest,
    choose: Callable[[str], TurnOptions],
    is_gone: IsGone,
) -> StartedTurn:
    """Store the question, an empty reply, and the turn. The turn locks the conversation.

    `choose` makes the turn's options of what the user chose for the conversation. Raises
    `ConversationNotFound`, `TurnRunning`, `TooManyTurns`, `ChangedElsewhere`.
    """
    conversation = conversations.hold(user_id, conversation_id)
    options = choose(conversation.options)
    _make_room(user_id, conversation.id, options.max_turns_per_user, is_gone)
    match request:
        case Send(text, files):
            before = _last_answered(conversation)
            question = messages.add(conversation.id, before, Role.USER, text)
            if files:
                attachments.attach(conversation.id, question.id, files)
        case Edit(question_id, text):
            before = messages.of(conversation.id, question_id, Role.USER).parent
            question = messages.add(conversation.id, before, Role.USER, text)
            attachments.copy(question_id, question.id)
        case Regenerate(reply_id) | Continue(reply_id):
            if conversation.head_id != reply_id:
                raise ChangedElsewhere()
            reply = messages.of(conversation.id, reply_id, Role.ASSISTANT)
            if isinstance(request, Continue) and not _ended_early(reply_id):
                raise ChangedElsewhere()
            question = reply.parent
            before = question.parent
    continued = isinstance(request, Continue)
    if not continued:
        reply = messages.add(conversation.id, question, Role.ASSISTANT)
    # A context cannot continue from the middle of a reply: build a new one.
    ref = None if continued else _usable_ref(conversation, before, options)
    conversations.change(
        conversation.id,
        head_id=reply.id,
        title=conversation.title
        or title_of(question.content or attachments.first_name(question.id)),
        updated_at=now(),
        # Until the turn has ended well, what Ark holds is unknown.
        memory_upto=None,
        prompt_hash=options.prompt_hash,
    )
    turn_id = uuid.uuid4()
    _add(
        id=turn_id,
        user=user_id,
        conversation=conversation.id,
        question_id=question.id,
        reply_id=reply.id,
        model=options.model,
        memory_kind=options.memory_kind,
        prompt_hash=options.prompt_hash,
        state=State.STREAMING,
        worker=options.worker,
        lease_until=now() + timedelta(seconds=options.lease_seconds),
        started_at=now(),
        **_NOTHING_YET,
    )
    return StartedTurn(
        id=turn_id,
        user_id=user_id,
        conversation_id=conversation.id,
        before_id=before.id if before else None,
        question=question.content,
        question_id=question.id,
        reply_id=reply.id,
        prefix=reply.content if continued else "",
        prefix_thought=reply.thought if continued else "",
        model=options.model,
        options=conversation.options,
        has_files=attachments.in_conversation(conversation.id),
        changes_model=before is not None and conversation.model not in ("", options.model),
        ref=ref,
        held_tokens=conversation.memory_tokens if ref else None,
    )


def reserve(turn_id: uuid.UUID, most: Numbers) -> None:
    """Reserve the most that a running turn can use. Raises `ChangedElsewhere` if another process
    has ended it because its lease ran out."""
    if not _change_running(turn_id, **vars(most)):
        raise ChangedElsewhere()


def save(worker: str, lease_seconds: float, running: Iterable[Progress]) -> dict[uuid.UUID, Sign]:
    """Renew the leases of these turns and store their text; returns the signs by turn id.

    A turn missing from the result has been ended by another process because its lease ran out.
    """
    until = now() + timedelta(seconds=lease_seconds)
    renewed = set()
    for turn in running:
        if not _change_running(turn.turn_id, lease_until=until):
            continue
        renewed.add(turn.turn_id)
        if turn.content is not None:
            messages.change(turn.reply_id, content=turn.content, thought=turn.thought)
    return {
        # Stop the reply if its conversation was deleted.
        turn_id: Sign(bool(stop_requested or conversation_id is None), followed_until)
        for turn_id, conversation_id, stop_requested, followed_until in _signs(worker)
        if turn_id in renewed
    }


def finish(turn: StartedTurn, outcome: Outcome, used: Numbers) -> None:
    """Store how a turn ended and what it used, and free its conversation.

    If its lease ran out and the conversation has moved on since, the text becomes another version
    of the reply; the visible branch and the memory do not change.
    """
    values = {
        "state": outcome.state,
        "error": outcome.error,
        "memory_kind": outcome.memory_kind,
        "refs": outcome.refs,
        "first_token_ms": outcome.first_token_ms,
        "request_id": outcome.request_id,
        "finished_at": now(),
    }
    text = {
        "content": outcome.content,
        "thought": outcome.thought,
        "notes": outcome.notes,
        "sources": outcome.sources,
        "thought_ms": outcome.thought_ms,
    }
    memory = {
        "updated_at": now(),
        "model": outcome.model,
        "memory_kind": outcome.memory_kind,
        "memory_ref": outcome.ref,
        "memory_expires_at": outcome.ref_expires_at,
        "memory_upto": turn.reply_id if outcome.ref else None,
        "memory_tokens": outcome.held_tokens,
    }
    if _change_running(turn.id, **values, **vars(used)):
        messages.change(turn.reply_id, **text)
        conversations.change(turn.conversation_id, **memory)
        return
    conversations.hold_user(turn.user_id)
    # Store its usage in any case.
    _change(turn.id, **vars(used))
    if _nobody_went_on(turn):
        _change(turn.id, **values)
        messages.change(turn.reply_id, **text)
        # What Ark holds now is unknown.
        conversations.change(turn.conversation_id, **memory | {"memory_upto": None})
    else:
        _keep_as_version(turn, outcome, values, text)


def give_up(turn: StartedTurn, used: Numbers | None) -> None:
    """End a turn whose final text cannot be stored; the text stored so far stays. Without `used`,
    the reserved numbers stay as its usage."""
    numbers = vars(used) if used else {}
    state = _state_by_text(turn.reply_id)
    ended = _change_running(turn.id, state=state, error=NOT_SAVED, finished_at=now(), **numbers)
    if not ended and numbers:
        _change(turn.id, **numbers)
    conversations.change(turn.conversation_id, memory_upto=None)


def recover(is_gone: IsGone) -> int:
    """End the turns whose process has died; returns how many. Their text stays, and the reserved
    numbers stay as their usage."""
    running = Turn.select(Turn.id, Turn.reply_id, Turn.worker, Turn.lease_until).where(STREAMING)
    dead = [turn for turn in running if _is_dead(turn.worker, turn.lease_until, is_gone)]
    for turn in dead:
        _end_dead(turn.id, turn.reply_id)
    return len(dead)


def request_stop(user_id: int, conversation_id: str) -> uuid.UUID | None:
    """Ask the process that runs the conversation's turn to stop it; returns the turn id or None."""
    conversation = conversations.find(user_id, conversation_id)
    running = Turn.get_or_none(Turn.conversation == conversation.id, STREAMING)
    if running is None:
        return None
    _change(running.id, stop_requested=True)
    found: uuid.UUID = running.id
    return found


def follow(user_id: int, conversation_id: str, seconds: float) -> None:
    """Record that somebody follows the conversation's running turn for the next `seconds` through
    another process."""
    conversation = conversations.find(user_id, conversation_id)
    mine = (Turn.conversation == conversation.id) & STREAMING
    Turn.update(followed_until=now() + timedelta(seconds=seconds)).where(mine).execute()


def running_in(user_id: int) -> list[str]:
    """The ids of the user's conversations with a running turn."""
    rows = _running(user_id)
    return [str(turn.conversation_id) for turn in rows if runs(turn.lease_until)]


def title_of(question: str) -> str:
    """The first line of a question, short enough for a list."""
    line = " ".join(question.split())
    return line if len(line) <= TITLE_CHARS else line[: TITLE_CHARS - 1].rstrip() + "…"


_NOTHING_YET: dict[str, Any] = {
    **vars(Numbers()),
    "stop_requested": False,
    "error": "",
    "request_id": "",
    "refs": "",
    "network": "",
}


def _make_room(user_id: int, conversation_id: uuid.UUID, most: int, is_gone: IsGone) -> None:
    """End this user's turns whose process has died.

    Raises `TurnRunning` if another turn runs in the conversation, `TooManyTurns` if the user has
    `most` running turns.
    """
    alive = []
    for turn in _running(user_id):
        if _is_dead(turn.worker, turn.lease_until, is_gone):
            _end_dead(turn.id, turn.reply_id)
        else:
            alive.append(turn.conversation_id)
    if conversation_id in alive:
        raise TurnRunning()
    if len(alive) >= most:
        raise TooManyTurns()


def _is_dead(worker: str, lease_until: datetime | None, is_gone: IsGone) -> bool:
    return not runs(lease_until) or is_gone(worker)


def _end_dead(turn_id: uuid.UUID, reply_id: int | None) -> None:
    state = _state_by_text(reply_id)
    _change_running(turn_id, state=state, error=PROCESS_DIED, finished_at=now())


def _state_by_text(reply_id: int | None) -> State:
    """The final state of a turn that gets no more text."""
    reply = messages.at(reply_id)
    return State.INTERRUPTED if reply is None or reply.content else State.FAILED


def _ended_early(reply_id: int) -> bool:
    """Whether a reply can be continued: its newest turn left a part of it."""
    turns = Turn.select(Turn.state).where(Turn.reply_id == reply_id)
    newest = turns.order_by(Turn.started_at.desc()).first()
    return newest is not None and newest.state in CONTINUABLE


def _nobody_went_on(turn: StartedTurn) -> bool:
    """Whether the turn was ended as dead, and no newer turn or branch has followed."""
    newest = Turn.select(Turn.id, Turn.error).where(Turn.conversation == turn.conversation_id)
    last = newest.order_by(Turn.started_at.desc()).first()
    at_head = Conversation.select().where(
        Conversation.id == turn.conversation_id, Conversation.head_id == turn.reply_id
    )
    return bool(last and last.id == turn.id and last.error == PROCESS_DIED and at_head.exists())


def _keep_as_version(
    turn: StartedTurn, outcome: Outcome, values: dict[str, Any], text: dict[str, Any]
) -> None:
    reply: Any = Message.get_or_none(Message.id == turn.reply_id)
    if reply is None or reply.content.startswith(outcome.content):
        return
    version = Message.create(
        conversation=reply.conversation_id, parent=reply.parent_id, role=Role.ASSISTANT, **text
    )
    # The usage stays with the first turn; this one only stores the outcome.
    Turn.create(
        user=turn.user_id,
        conversation=reply.conversation_id,
        question_id=reply.parent_id,
        reply_id=version.id,
        model=outcome.model,
        prompt_hash="",
        **values,
    )


def _last_answered(conversation: Any) -> Any:
    """The last message of the visible branch, skipping turns that got no text."""
    reply = messages.at(conversation.head_id)
    while reply is not None and not reply.content:
        question = messages.at(reply.parent_id)
        reply = messages.at(question.parent_id) if question else None
    return reply


def _usable_ref(conversation: Any, before: Any, options: TurnOptions) -> str | None:
    """Ark's memory id, if it has not expired and equals the branch up to `before`; else None."""
    expires_at = conversation.memory_expires_at
    usable = (
        before is not None
        and conversation.memory_upto == before.id
        and conversation.memory_kind == options.memory_kind
        and conversation.model == options.model
        and conversation.prompt_hash == options.prompt_hash
        and expires_at is not None
        and expires_at > now() + EXPIRY_MARGIN
    )
    return conversation.memory_ref if usable else None


@prepared
def _add(**values: Any) -> Any:
    return Turn.insert(**values)


@prepared
def _running(user_id: Any) -> Any:
    return Turn.select(
        Turn.id, Turn.conversation, Turn.reply_id, Turn.worker, Turn.lease_until
    ).where(Turn.user == user_id, STREAMING)  # fmt: skip


@prepared
def _change_running(turn_id: Any, **values: Any) -> Any:
    return Turn.update(**values).where(Turn.id == turn_id, STREAMING)


@prepared
def _change(turn_id: Any, **values: Any) -> Any:
    return Turn.update(**values).where(Turn.id == turn_id)


@prepared
def _signs(worker: Any) -> Any:
    rows = Turn.select(Turn.id, Turn.conversation, Turn.stop_requested, Turn.followed_until)
    return rows.where(Turn.worker == worker, STREAMING).tuples()
