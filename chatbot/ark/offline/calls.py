"""The model calls: what a request asks for, and the job that answers it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from chatbot.ark.offline.answer import Answer, answer_to
from chatbot.ark.offline.chat import ChatStream, completion
from chatbot.ark.offline.contexts import Contexts, check_endpoint, read_context
from chatbot.ark.offline.files import Files
from chatbot.ark.offline.job import Job
from chatbot.ark.offline.looking import look_at
from chatbot.ark.offline.messages import (
    check_choice,
    check_count,
    check_flag,
    check_last_role,
    check_messages,
    check_model,
    check_range,
    check_stop,
    check_type,
)
from chatbot.ark.offline.models import Model, check_abilities, has_more_than_text
from chatbot.ark.offline.refusals import Refusal, invalid, missing, text_only, too_large, two_limits
from chatbot.ark.offline.remembered import PromptCache
from chatbot.ark.offline.response_events import ResponseStream
from chatbot.ark.offline.responses import EFFORTS, THINKING, Responses, settle_thinking
from chatbot.ark.offline.usage import Usage, count_messages

CallName = Literal["create", "context", "chat", "responses"]
CONTEXT_ROLES = {"system", "user", "assistant"}
CHAT_ROLES = {*CONTEXT_ROLES, "developer", "tool"}
# The real name that Ark reports for an endpoint [D 1529329].
ENDPOINT_MODEL = "doubao-1-5-pro-32k-250115"
MAX_TOKENS = 4096


@dataclass(frozen=True)
class Call:
    """What a client asks of a model: its JSON, by which API, and in which form it wants the
    answer."""

    api: CallName
    body: dict[str, Any]
    streaming: bool
    request_id: str

    @property
    def model(self) -> str:
        return str(self.body.get("model"))


def read_call(api: CallName, body: Any, request_id: str) -> Call:
    if not isinstance(body, dict):
        raise Refusal(400, "InvalidParameter", "The request body must be a JSON object.")
    return Call(api, body, api != "create" and check_flag(body, "stream"), request_id)


def chat_job(call: Call, now: float, about: Model, files: Files, cache: PromptCache) -> Job:
    body = call.body
    model = check_model(body)
    messages = check_messages(body, roles=CHAT_ROLES)
    check_sampling(body)
    check_functions(body)
    max_tokens = check_count(body, "max_tokens")
    max_total = check_count(body, "max_completion_tokens")
    if max_tokens is not None and max_total is not None:
        raise two_limits()
    if about.most_output is not None and (max_total or 0) > about.most_output:
        raise too_large("max_completion_tokens", about.most_output, max_total or 0)
    thinking, effort = settle_thinking(
        check_type(body, "thinking", THINKING),
        check_choice(body, "reasoning_effort", EFFORTS),
        "reasoning_effort",
    )
    check_abilities(about, messages, thinking)
    messages = look_at(messages, files)
    answer = answer_to(
        messages,
        Usage(prompt=count_messages(messages), cached=cache.read(model, messages)),
        thinking=thinking,
        effort=effort,
        mode=about.thinking,
        max_tokens=max_tokens or (None if max_total else MAX_TOKENS),
        max_total=max_total,
        stop=check_stop(body),
    )
    answer.sealed = about.summarizes
    return completion_job(answer, call, now, real_name(model), lambda: None)


def context_job(call: Call, now: float, contexts: Contexts) -> Job:
    body = call.body
    model = check_endpoint(body)
    messages = check_messages(body, roles=CONTEXT_ROLES)
    check_last_role(messages)
    # Neither is supported here [D 1529329]; how Ark refuses them is not documented.
    for name in ("tools", "thinking"):
        if body.get(name) is not None:
            raise invalid(name, "it is not supported by the context API")
    check_sampling(body)
    # The models of contexts read only text.
    if has_more_than_text(messages):
        raise text_only()
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
            contexts.remember(context, messages, answer)

    job = completion_job(answer, call, now, real_name(model), settle)
    # One request at a time in a session; a prefix may be read by many [D 1396491].
    context.busy = context.mode == "session"
    return job


def completion_job(
    answer: Answer, call: Call, now: float, model: str, settle: Callable[[], None]
) -> Job:
    id, created = call.request_id, int(now)
    stream = ChatStream(answer, id, created, model, call.body)
    return Job(stream, lambda: completion(answer, id, created, model), settle)


def response_job(call: Call, responses: Responses, about: Model) -> Job:
    round = responses.ask(call.body, call.request_id, about)

    def settle() -> None:
        if round.answer.ended:
            responses.keep(round)

    return Job(ResponseStream(round), round.finished, settle)


def check_sampling(body: dict[str, Any]) -> None:
    check_range(body, "temperature", 0, 2)
    check_range(body, "top_p", 0, 1)
    check_range(body, "frequency_penalty", -2, 2)
    check_range(body, "presence_penalty", -2, 2)


def check_functions(body: dict[str, Any]) -> None:
    """Chat has functions only: any other tool lacks its `function`."""
    tools = body.get("tools") or []
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise invalid("tools", "it must be a list of objects")
    if any(not tool.get("function") for tool in tools):
        raise missing("tools.function")


def real_name(model: str) -> str:
    return ENDPOINT_MODEL if model.startswith("ep-") else model
