"""The model calls: from a request to a job, from a job to bytes, with faults on the way."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chatbot.ark.offline.answer import Answer, answer_to
from chatbot.ark.offline.chat import ChatStream, completion
from chatbot.ark.offline.contexts import Context, Contexts, check_endpoint, read_context
from chatbot.ark.offline.exchange import Exchange
from chatbot.ark.offline.faults import Fault
from chatbot.ark.offline.messages import (
    check_choice,
    check_count,
    check_last_role,
    check_messages,
    check_model,
    check_range,
    check_stop,
    check_type,
)
from chatbot.ark.offline.models import Model, check_abilities
from chatbot.ark.offline.refusals import invalid, too_large, two_limits
from chatbot.ark.offline.response_events import ResponseStream
from chatbot.ark.offline.responses import EFFORTS, NO_EFFORT, THINKING, Responses
from chatbot.ark.offline.steps import steps
from chatbot.ark.offline.usage import Usage, count_messages
from chatbot.ark.offline.wire import Stream, to_json

CONTEXT_ROLES = {"system", "user", "assistant"}
CHAT_ROLES = {*CONTEXT_ROLES, "developer", "tool"}
# The real name that Ark reports for an endpoint [D 1529329].
ENDPOINT_MODEL = "doubao-1-5-pro-32k-250115"
MAX_TOKENS = 4096


@dataclass
class Job:
    """An answer ready to be sent. `settle` stores what is to be remembered, once."""

    stream: Stream
    whole: Callable[[], dict[str, Any]]
    settle: Callable[[], None]
    settled: bool = False

    @property
    def answer(self) -> Answer:
        return self.stream.answer

    def settle_once(self) -> None:
        if not self.settled:
            self.settled = True
            self.settle()

    def settle_if_ended(self) -> None:
        # Before the last bytes leave: a client that has them may ask again at once, and
        # must not find its context still in use.
        if self.answer.ended:
            self.settle_once()


def chat_job(body: dict[str, Any], request_id: str, now: float, about: Model) -> Job:
    model = check_model(body)
    messages = check_messages(body, roles=CHAT_ROLES)
    check_sampling(body)
    max_tokens = check_count(body, "max_tokens")
    max_total = check_count(body, "max_completion_tokens")
    if max_tokens is not None and max_total is not None:
        raise two_limits()
    if about.most_output is not None and (max_total or 0) > about.most_output:
        raise too_large("max_completion_tokens", about.most_output, max_total or 0)
    thinking = check_type(body, "thinking", THINKING)
    if check_choice(body, "reasoning_effort", EFFORTS) in NO_EFFORT:
        thinking = "disabled"
    check_abilities(about, messages, thinking)
    answer = answer_to(
        messages,
        Usage(prompt=count_messages(messages)),
        thinking=thinking,
        mode=about.thinking,
        max_tokens=max_tokens or (None if max_total else MAX_TOKENS),
        max_total=max_total,
        stop=check_stop(body),
    )
    return completion_job(answer, body, request_id, now, real_name(model), lambda: None)


def context_job(
    body: dict[str, Any],
    request_id: str,
    now: float,
    contexts: Contexts,
    keeps_partial: Callable[[], bool],
) -> Job:
    model = check_endpoint(body)
    messages = check_messages(body, roles=CONTEXT_ROLES)
    check_last_role(messages)
    # Neither is supported here [D 1529329]; how Ark refuses them is not documented.
    for name in ("tools", "thinking"):
        if body.get(name) is not None:
            raise invalid(name, "it is not supported by the context API")
    check_sampling(body)
    limit = check_count(body, "max_tokens") or MAX_TOKENS
    stop = check_stop(body)
    context = contexts.find(body)
    prompt = read_context(context, messages)
    answer = answer_to(
        prompt.messages, prompt.price, mode="shown", max_tokens=min(limit, prompt.room), stop=stop
    )

    def settle() -> None:
        context.busy = False
        if context.mode == "session":
            remember(context, messages, answer, keeps_partial())

    job = completion_job(answer, body, request_id, now, real_name(model), settle)
    # One request at a time in a session; a prefix may be read by many [D 1396491].
    context.busy = context.mode == "session"
    return job


def remember(
    context: Context, new: list[dict[str, Any]], answer: Answer, keeps_partial: bool
) -> None:
    """Add a turn to its context. What Ark keeps of one that was cut off or filtered is not
    documented, so that is for the test to choose: what was said so far, or nothing at all."""
    whole = answer.ended and answer.finish != "content_filter"
    if not whole and not keeps_partial:
        return
    text = answer.text if answer.ended else answer.said
    context.messages.extend(new)
    if text or whole:
        context.messages.append({"role": "assistant", "content": text})


def completion_job(
    answer: Answer,
    body: dict[str, Any],
    request_id: str,
    now: float,
    model: str,
    settle: Callable[[], None],
) -> Job:
    stream = ChatStream(answer, request_id, int(now), model, body)
    return Job(stream, lambda: completion(answer, request_id, int(now), model), settle)


def response_job(body: dict[str, Any], request_id: str, responses: Responses, about: Model) -> Job:
    round = responses.ask(body, request_id, about)

    def settle() -> None:
        if round.answer.ended:
            responses.keep(round)

    return Job(ResponseStream(round), round.finished, settle)


def check_sampling(body: dict[str, Any]) -> None:
    check_range(body, "temperature", 0, 2)
    check_range(body, "top_p", 0, 1)
    check_range(body, "frequency_penalty", -2, 2)
    check_range(body, "presence_penalty", -2, 2)


def real_name(model: str) -> str:
    return ENDPOINT_MODEL if model.startswith("ep-") else model


async def interfere(exchange: Exchange, fault: Fault) -> bool:
    """What a fault does before there is any answer; True if it was the answer."""
    if fault.kind == "http":
        raise fault.refusal()
    if fault.kind == "body":
        await exchange.whole(fault.status, fault.body, fault.type, dict(fault.headers))
        return True
    if fault.kind == "reset":
        await exchange.hang_up(reset=True)
        return True
    if fault.kind == "silence_before":
        await exchange.pause(fault.seconds)
    return False


def bend(job: Job, fault: Fault) -> None:
    """What a fault does to the answer itself."""
    if fault.kind == "finish":
        job.answer.cut(fault.after, fault.finish)
    elif fault.kind == "usage":
        job.answer.usage_shape = fault.usage
    elif fault.kind == "failed" and isinstance(job.stream, ResponseStream):
        job.stream.round.error = {"code": fault.code, "message": fault.text}


async def answer_stream(exchange: Exchange, job: Job, fault: Fault | None, pace: float) -> None:
    await exchange.events(steps(job.stream, fault), pace, job.settle_if_ended)


async def answer_whole(exchange: Exchange, job: Job, fault: Fault | None, pace: float) -> None:
    """The same answer in one piece, after the time its pieces would have taken."""
    wait: float | None = pace * len(job.answer.pieces)
    if fault is not None and fault.kind == "slow_start":
        wait = fault.seconds
    if wait != 0:
        await exchange.pause(wait)
    job.answer.ended = True
    body = to_json(job.whole())
    job.settle_once()
    half = body[: len(body) // 2]
    if fault is not None and fault.kind == "drop":
        await exchange.whole(200, half, "application/json", promise=len(body))
    elif fault is not None and fault.kind == "bad_json":
        await exchange.whole(200, half, "application/json")
    else:
        await exchange.whole(200, body, "application/json")
