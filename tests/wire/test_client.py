"""The client against a local Ark: what comes out of a stream, and every error by its name."""

import asyncio

import pytest

from chatbot import errors
from chatbot.ark.chunks import CallOptions, PromptMessage
from chatbot.ark.client import ArkClient
from tests.fake_ark import FAULTS, Fault

pytestmark = pytest.mark.anyio

KEY = "key-that-must-not-be-told"
QUESTION = [PromptMessage("user", "echo: one two three")]

# Every row of Ark's error table (docs/82379/1299023).
TABLE = [
    (400, "MissingParameter.messages", errors.BadRequest),
    (400, "InvalidParameter", errors.BadRequest),
    (400, "InvalidParameter.PreviousResponseNotFound", errors.ContextLost),
    (400, "InvalidArgumentError.UnknownRole", errors.BadRequest),
    (400, "OutofContextError", errors.PromptTooLong),
    (400, "InvalidEndpoint.ClosedEndpoint", errors.EndpointClosed),
    (400, "SensitiveContentDetected", errors.Moderated),
    (400, "SensitiveContentDetected.SevereViolation", errors.Moderated),
    (400, "InputTextSensitiveContentDetected.PolicyViolation", errors.Moderated),
    (400, "OutputTextSensitiveContentDetected", errors.Moderated),
    (400, "InputTextRiskDetection", errors.Moderated),
    (400, "OutputTextRiskDetection", errors.Moderated),
    (400, "ContentSecurityDetectionError", errors.ArkUnavailable),
    (401, "AuthenticationError", errors.KeyRefused),
    (401, "InvalidAccountStatus", errors.AccessRefused),
    (402, "PaymentRequired", errors.AccountOverdue),
    (403, "AccountOverdueError", errors.AccountOverdue),
    (403, "OperationDenied.ServiceOverdue", errors.AccountOverdue),
    (403, "AccessDenied", errors.AccessRefused),
    (403, "OperationDenied.PermissionDenied", errors.AccessRefused),
    (403, "OperationDenied.ServiceNotOpen", errors.AccessRefused),
    (403, "OperationDenied.InvalidState", errors.ContextBusy),
    (403, "OperationDenied.UnsupportedPhase", errors.AccessRefused),
    (404, "InvalidEndpointOrModel.NotFound", errors.ModelNotFound),
    # A model id: the Context API takes endpoint ids only.
    (404, "InvalidEndpointOrModel.ModelIDAccessDisabled", errors.NotSupported),
    (404, "ModelNotOpen", errors.ModelNotOpen),
    (404, "UnsupportedModel", errors.NotSupported),
    (404, "NotFound.context_id", errors.ContextLost),
    (408, "RequestTimeout", errors.ArkUnavailable),
    (409, "Conflict", errors.ArkUnavailable),
    (422, "Unprocessable", errors.BadRequest),
    (429, "RateLimitExceeded.EndpointRPMExceeded", errors.RateLimited),
    (429, "RateLimitExceeded.EndpointTPMExceeded", errors.RateLimited),
    (429, "ModelAccountRpmRateLimitExceeded", errors.RateLimited),
    (429, "APIAccountRpmRateLimitExceeded", errors.RateLimited),
    (429, "AccountRateLimitExceeded", errors.RateLimited),
    (429, "InflightBatchsizeExceeded", errors.ArkOverloaded),
    (429, "QuotaExceeded", errors.QuotaUsedUp),
    (429, "SetLimitExceeded", errors.LimitReached),
    (429, "ServerOverloaded", errors.ArkOverloaded),
    (429, "RequestBurstTooFast", errors.ArkOverloaded),
    (500, "InternalServiceError", errors.ArkUnavailable),
    (503, "ServiceUnavailable", errors.ArkUnavailable),
]


@pytest.fixture
async def client(ark):
    made = ArkClient(api_key=KEY, base_url=ark.base_url, first_token_seconds=20, idle_seconds=20)
    yield made
    await made.close()


@pytest.fixture
async def impatient(ark):
    made = ArkClient(api_key=KEY, base_url=ark.base_url, first_token_seconds=0.3, idle_seconds=0.3)
    yield made
    await made.close()


async def context(client):
    ref, _ = await client.create_context("ep-test", [PromptMessage("system", "Be brief.")], 3600)
    return ref


async def collect(stream):
    return [chunk async for chunk in stream]


async def reply(client, question=QUESTION, max_tokens=1000):
    ref = await context(client)
    return await collect(client.stream_context("ep-test", ref, question, CallOptions(max_tokens)))


async def test_a_stream_has_text_a_finish_reason_and_usage(client):
    chunks = await reply(client)
    assert "".join(chunk.text for chunk in chunks) == "one two three"
    assert [chunk.finish for chunk in chunks if chunk.finish] == ["stop"]
    (tokens,) = [chunk.tokens for chunk in chunks if chunk.tokens]
    assert tokens.prompt > tokens.cached > 0
    assert tokens.completion > 0


async def test_the_next_question_needs_no_new_connection(client, ark):
    """With the real Ark one would be two round trips more before the first word."""
    for _ in range(3):
        await reply(client)
    assert len({request.client for request in ark.requests}) == 1


async def test_thoughts_are_kept_apart_from_the_text(client):
    chunks = await reply(client, [PromptMessage("user", "think")])
    assert any(chunk.thought for chunk in chunks)
    assert not any(chunk.thought and chunk.text for chunk in chunks)


async def test_max_tokens_cuts_the_reply(client):
    chunks = await reply(client, [PromptMessage("user", "count 500")], max_tokens=5)
    assert [chunk.finish for chunk in chunks if chunk.finish] == ["length"]


@pytest.mark.parametrize(("status", "code", "kind"), TABLE)
async def test_every_error_of_the_table_gets_its_name(client, ark, status, code, kind):
    ref = await context(client)
    ark.fail_next(Fault.http(status, code, f"Ark's words about {KEY}."))
    with pytest.raises(errors.ArkError) as caught:
        await collect(client.stream_context("ep-test", ref, QUESTION, CallOptions(100)))
    assert type(caught.value) is kind
    assert caught.value.ark_code == code
    assert caught.value.request_id.startswith("021")
    assert KEY not in caught.value.for_log() + repr(caught.value) + str(caught.value)


@pytest.mark.parametrize("param", ["context_id", "previous_response_id"])
async def test_a_lost_context_is_known_by_its_parameter(client, ark, param):
    ref = await context(client)
    ark.fail_next(Fault.http(400, "InvalidParameter", param=param))
    with pytest.raises(errors.ContextLost):
        await collect(client.stream_context("ep-test", ref, QUESTION, CallOptions(100)))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("html", errors.ArkUnavailable),
        ("reset", errors.ArkUnavailable),
        ("drop", errors.StreamBroken),
        ("no_finish", errors.StreamBroken),
        ("end", errors.StreamBroken),
        ("stream_error", errors.StreamBroken),
        ("stream_error_text", errors.StreamBroken),
        ("bad_json", errors.StreamBroken),
    ],
)
async def test_a_stream_that_goes_wrong_is_told_as_such(client, ark, name, kind):
    ref = await context(client)
    ark.fail_next(FAULTS[name])
    with pytest.raises(errors.ArkError) as caught:
        await collect(client.stream_context("ep-test", ref, QUESTION, CallOptions(100)))
    assert type(caught.value) is kind


@pytest.mark.parametrize("name", ["no_done", "keep_alive", "split_utf8", "no_usage"])
async def test_what_is_odd_but_whole_is_a_whole_reply(client, ark, name):
    ark.fail_next(FAULTS[name])
    chunks = await reply(client, [PromptMessage("user", "echo: 一二三 four")])
    assert "".join(chunk.text for chunk in chunks) == "一二三 four"


@pytest.mark.parametrize("fault", [Fault.silence_before(20), Fault.silence(after=2)])
async def test_silence_is_not_waited_out(impatient, ark, fault):
    ref = await context(impatient)
    ark.fail_next(fault.on("context"))
    with pytest.raises(errors.ArkSilent):
        await collect(impatient.stream_context("ep-test", ref, QUESTION, CallOptions(100)))


async def test_leaving_a_stream_ends_its_request(client, ark):
    ark.fail_next(Fault.silence(after=2))
    ref = await context(client)
    stream = client.stream_context(
        "ep-test", ref, [PromptMessage("user", "count 50")], CallOptions(100)
    )
    assert await anext(stream)
    await stream.aclose()
    async with asyncio.timeout(10):
        while not ark.requests[-1].disconnected:
            await asyncio.sleep(0.01)


async def test_nothing_is_retried_by_the_sdk_itself(client, ark):
    ref = await context(client)
    before = len(ark.requests)
    ark.fail_next(FAULTS["ServerOverloaded"])
    with pytest.raises(errors.ArkOverloaded):
        await collect(client.stream_context("ep-test", ref, QUESTION, CallOptions(100)))
    assert len(ark.requests) == before + 1


async def test_an_ark_that_is_down_was_surely_not_asked():
    client = ArkClient(
        api_key=KEY, base_url="http://127.0.0.1:9/api/v3", first_token_seconds=5, idle_seconds=5
    )
    with pytest.raises(errors.ArkUnavailable) as caught:
        await context(client)
    assert not caught.value.applied
    await client.close()


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("http://no-such-host.invalid/api/v3", errors.AddressUnknown),
        ("https://127.0.0.1:{port}/api/v3", errors.CertificateRefused),
        ("http://127.0.0.1:9/api/v3", errors.ArkUnavailable),
    ],
)
async def test_name_certificate_and_closed_port_are_told_apart(ark, url, kind):
    client = ArkClient(
        api_key=KEY, base_url=url.format(port=ark.port), first_token_seconds=5, idle_seconds=5
    )
    with pytest.raises(errors.ArkUnavailable) as caught:
        await context(client)
    assert type(caught.value) is kind
    assert not caught.value.applied
    await client.close()


async def test_a_wrong_key_is_told(ark):
    client = ArkClient(
        api_key="wrong-key", base_url=ark.base_url, first_token_seconds=5, idle_seconds=5
    )
    with pytest.raises(errors.KeyRefused):
        await context(client)
    await client.close()
