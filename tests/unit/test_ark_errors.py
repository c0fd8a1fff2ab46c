"""Every refusal of Ark's table, and what servers of other makes say instead, by its name."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from chatbot import errors
from chatbot.ark.errors import Refusal, error_for, seconds_to_wait

ID = " Request id: 021790000000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
BAD = "The parameter `{}` specified in the request are not valid: "
N = 2100000000

# Status, code, parameter, message, our error. Messages are those seen or documented.
ARK = [
    (400, "MissingParameter", "messages", "missing one or multiple required parameters",
     errors.BadRequest),
    (400, "InvalidParameter", "temperature", BAD.format("temperature"), errors.FieldRefused),
    (400, "InvalidParameter.UnsupportedParameter", "stop", "not supported by this endpoint",
     errors.BadRequest),
    (400, "InvalidParameter.PreviousResponseNotFound", "previous_response_id",
     "Previous response with id resp_02 not found.", errors.ContextLost),
    (400, "InvalidParameter", "previous_response_id", BAD.format("previous_response_id"),
     errors.ContextLost),
    (400, "InvalidParameter", "context_id", BAD.format("context_id"), errors.ContextLost),
    (400, "OutofContextError", "", "Total tokens of image and text exceed max message tokens.",
     errors.PromptTooLong),
    (400, "InvalidParameter", "", "Total tokens of image and text exceed max message tokens.",
     errors.PromptTooLong),
    (400, "InvalidParameter.UnsupportedImageFormat", "image_url",
     "The request failed because the image format is not supported by the API.",
     errors.PictureRefused),
    (400, "InvalidImageURL.EmptyURL", "", "Empty base64 image url", errors.PictureRefused),
    (400, "InvalidImageURL.InvalidFormat", "", "Invalid base64 image url", errors.PictureRefused),
    (400, "InvalidParameter.OversizeImage", "", "", errors.PictureRefused),
    (400, "InvalidParameter", "", "Timeout while downloading url: https://a.example/1.png",
     errors.PictureRefused),
    (400, "InvalidParameter", "", "Model only support text input", errors.PicturesNotRead),
    (400, "InvalidParameter", "", "Model do not support image input", errors.PicturesNotRead),
    (400, "InvalidArgumentError.InvalidPixelLimit", "", "", errors.PictureRefused),
    (400, "InvalidArgumentError.InvalidImageDetail", "", "Invalid image detail: x",
     errors.FieldRefused),
    (400, "InvalidArgumentError.UnknownRole", "", "", errors.BadRequest),
    (400, "SensitiveContentDetected.Violence", "", "", errors.Moderated),
    (400, "InputTextSensitiveContentDetected.PolicyViolation", "", "", errors.Moderated),
    (400, "InputImageRiskDetection", "", "", errors.Moderated),
    (400, "OutputTextSensitiveContentDetected", "", "", errors.Moderated),
    (400, "OutputTextRiskDetection", "", "", errors.Moderated),
    (400, "ContentSecurityDetectionError", "", "Internal error", errors.ArkUnavailable),
    (400, "InvalidSubscription", "", "no valid coding plan", errors.PlanKey),
    (400, "InvalidEndpoint.ClosedEndpoint", "", "", errors.EndpointClosed),
    (401, "AuthenticationError", "", "The API key or AK/SK in the request is missing or invalid.",
     errors.KeyRefused),
    (401, "InvalidAccountStatus", "", "", errors.AccessRefused),
    (403, "AccountOverdueError", "", "overdue balance", errors.AccountOverdue),
    (403, "OperationDenied.ServiceOverdue", "", "", errors.AccountOverdue),
    (403, "AccessDenied", "", "", errors.AccessRefused),
    (403, "OperationDenied.ServiceNotOpen", "", "", errors.AccessRefused),
    (403, "OperationDenied.PermissionDenied", "", "", errors.AccessRefused),
    (403, "OperationDenied.InvalidState", "", "in invalid state: InProgress", errors.ContextBusy),
    (403, "OperationDenied.FileQuotaExceeded", "", "", errors.AccessRefused),
    (404, "ModelNotOpen", "", f"Your account {N} has not activated the model m.",
     errors.ModelNotOpen),
    (404, "InvalidEndpointOrModel.NotFound", "",
     "The model or endpoint m does not exist or you do not have access to it.",
     errors.ModelNotFound),
    (404, "InvalidEndpointOrModel.ModelIDAccessDisabled", "", "", errors.EndpointNeeded),
    (400, "InvalidParameter", "model", BAD.format("model") + "the requested model m does not "
     "support this api..", errors.BadRequest),
    (404, "UnsupportedModel", "", "", errors.ModelNotFound),
    (404, "ToolNotOpen", "", "Your account has not activated web search.", errors.ToolNotOpen),
    (404, "NotFound.file", "", "The specified file x is not found", errors.ModelNotFound),
    (429, "ModelAccountRpmRateLimitExceeded", "", "", errors.RateLimited),
    (429, "ModelAccountTpmRateLimitExceeded", "", "", errors.RateLimited),
    (429, "ModelAccountIpmRateLimitExceeded", "", "", errors.RateLimited),
    (429, "RateLimitExceeded.EndpointRPMExceeded", "", "", errors.RateLimited),
    (429, "APIAccountRpmRateLimitExceeded", "", "", errors.RateLimited),
    (429, "AccountRateLimitExceeded", "", "", errors.RateLimited),
    (429, "InflightBatchsizeExceeded", "", "", errors.ArkOverloaded),
    (429, "RequestBurstTooFast", "", "System protection triggered by request burst.",
     errors.ArkOverloaded),
    (429, "ServerOverloaded", "", "", errors.ArkOverloaded),
    (429, "SetLimitExceeded", "",
     f"Your account [{N}] has reached the set inference limit for the [m] model, and the model "
     "service has been paused.", errors.LimitReached),
    (429, "QuotaExceeded", "",
     f"Your account [{N}] has exhausted its free trial quota for the [m] model.",
     errors.FreeQuotaUsedUp),
    (429, "QuotaExceeded", "", "The request has exceeded the quota.", errors.QuotaUsedUp),
    (500, "InternalServiceError", "", "unexpected internal error", errors.ArkUnavailable),
    (503, "ServiceUnavailable", "", "", errors.ArkUnavailable),
    (402, "PaymentRequired", "", "", errors.AccountOverdue),
    (408, "RequestTimeout", "", "", errors.ArkUnavailable),
    (409, "Conflict", "", "", errors.ArkUnavailable),
]  # fmt: skip

# Bodies of other servers, as they stand under `error`, or as text.
OTHERS = [
    (429, {"message": "You exceeded your current quota", "type": "insufficient_quota",
           "param": None, "code": "insufficient_quota"}, errors.QuotaUsedUp),
    (429, {"message": "Rate limit reached", "type": "requests", "code": "rate_limit_exceeded"},
     errors.RateLimited),
    (400, {"message": "This model's maximum context length is 8192 tokens. However, you requested "
           "9001 tokens (4905 in the messages, 4096 in the completion).",
           "type": "invalid_request_error", "param": "messages",
           "code": "context_length_exceeded"}, errors.PromptTooLong),
    (400, {"message": "This model's maximum context length is 4096 tokens.", "type": "BadRequest",
           "code": 400}, errors.PromptTooLong),
    (400, {"code": 400, "message": "request (5000 tokens) exceeds the available context size "
           "(4096 tokens), try increasing it", "type": "exceed_context_size_error",
           "n_prompt_tokens": 5000, "n_ctx": 4096}, errors.PromptTooLong),
    (400, {"message": "refused", "type": "invalid_request_error",
           "code": "content_policy_violation"}, errors.Moderated),
    (401, {"message": "Incorrect API key", "type": "invalid_request_error",
           "code": "invalid_api_key"}, errors.KeyRefused),
    (404, {"message": 'model "qwen3" not found, try pulling it first', "type": "api_error"},
     errors.ModelNotFound),
    (404, {"message": "The model `m` does not exist.", "type": "NotFoundError", "code": 404},
     errors.ModelNotFound),
    (404, {"message": "Not Found", "code": "404"}, errors.WrongAddress),
    (404, "", errors.WrongAddress),
    (404, "404 page not found", errors.WrongAddress),
    (404, "<html>404</html>", errors.WrongAddress),
    (404, {"detail": "Not Found"}, errors.WrongAddress),
    (405, "", errors.WrongAddress),
    (403, "<html>blocked</html>", errors.AccessRefused),
    (413, "<html>too large</html>", errors.BadRequest),
    (429, "<html>slow down</html>", errors.RateLimited),
    (502, "<html>Bad Gateway</html>", errors.ArkUnavailable),
    (422, {"detail": [{"loc": ["body"], "msg": "extra"}]}, errors.BadRequest),
    (400, None, errors.BadRequest),
    (400, [1], errors.BadRequest),
    (400, {"code": {"a": 1}, "message": 5, "param": [2], "type": None}, errors.BadRequest),
]  # fmt: skip


def ark_error(status, code, param="", message="", api="chat", **more):
    types = {400: "BadRequest", 403: "Forbidden", 404: "NotFound", 429: "TooManyRequests"}
    body = {"code": code, "message": message + ID, "param": param, "type": types.get(status, "X")}
    return error_for(Refusal(status, body, **more), api, "m")


@pytest.mark.parametrize(("status", "code", "param", "message", "kind"), ARK)
def test_every_row_of_arks_table_has_its_name(status, code, param, message, kind):
    error = ark_error(status, code, param, message)
    assert type(error) is kind
    assert (error.ark_status, error.ark_code, error.param) == (status, code, param)
    assert error.request_id == ID.split()[-1]
    assert error.from_ark


@pytest.mark.parametrize(("status", "body", "kind"), OTHERS)
def test_other_servers_are_understood(status, body, kind):
    error = error_for(Refusal(status, body), "chat", "m")
    assert type(error) is kind


def test_what_is_told_names_the_model_and_the_place_in_the_console():
    for kind, words in [
        (ark_error(404, "ModelNotOpen"), ("m", "Model activation", "开通管理")),
        (ark_error(429, "SetLimitExceeded"), ("m", "Safe experience mode", "安心体验模式")),
        (ark_error(429, "QuotaExceeded", "", "free trial quota"), ("m", "开通管理")),
        (ark_error(404, "ToolNotOpen"), ("Component library",)),
        (ark_error(400, "InvalidSubscription"), ("/api/v3",)),
        (error_for(Refusal(404, ""), "chat", "m"), ("ARK_BASE_URL", "/api/v3")),
    ]:
        assert all(word in str(kind) for word in words), str(kind)


@pytest.mark.parametrize(
    ("param", "message", "field", "at_most"),
    [
        ("thinking", "", "thinking", None),
        ("thinking.type", "Unsupported thinking type for the current model", "thinking", None),
        ("", "thinking.type `disabled` is not supported by this model", "thinking", None),
        ("", "Unsupported thinking type for the current model: disabled", "thinking", None),
        ("", 'json: unknown field "expire_at"', "expire_at", None),
        ("", "Unknown parameter: 'stream_options'.", "stream_options", None),
        ("max_tokens", "", "max_tokens", None),
        (
            "max_completion_tokens",
            BAD.format("max_completion_tokens")
            + "integer above maximum value, expected a value <= 12288, but got 32000 instead.",
            "max_completion_tokens",
            12288,
        ),
        (
            "max_tokens",
            BAD.format("max_tokens")
            + "max_tokens and max_completion_tokens cannot be set at the same time.",
            "max_tokens",
            None,
        ),
        ("", "max_tokens is too large: 9. This model supports at most 4 completion tokens.",
         "max_tokens", 4),
    ],
)  # fmt: skip
def test_a_field_that_can_be_left_out_is_named(param, message, field, at_most):
    api = "responses" if field == "expire_at" else "chat"
    error = ark_error(400, "InvalidParameter", param, message, api)
    assert isinstance(error, errors.FieldRefused)
    assert (error.field, error.at_most) == (field, at_most)


@pytest.mark.parametrize(
    ("param", "message"),
    [
        ("", "Your text 'please stop thinking about max_tokens' is odd."),
        ("messages", "the parameter thinking was said in it"),
        ("seed", 'json: unknown field "thinking"'),
    ],
)
def test_words_of_a_question_name_no_field(param, message):
    error = ark_error(400, "InvalidParameter", param, message)
    assert not isinstance(error, errors.FieldRefused)


# What another kind of memory could cure, and what is the same with every kind.
CURABLE = [
    (400, "InvalidParameter", "model", "the requested model m does not support this api.", True),
    (400, "InvalidParameter", "", "the requested model m does not support this api.", True),
    (400, "InvalidParameter", "caching", "caching is not supported", True),
    (400, "InvalidParameter", "", 'json: unknown field "input"', True),
    (404, "UnsupportedModel", "", "", True),
    (404, "InvalidEndpointOrModel.ModelIDAccessDisabled", "", "", True),
    (404, "ModelNotOpen", "", "", False),
    (404, "InvalidEndpointOrModel.NotFound", "", "", False),
    (400, "InvalidEndpoint.ClosedEndpoint", "", "", False),
    (401, "AuthenticationError", "", "", False),
    (403, "AccountOverdueError", "", "", False),
    (403, "AccessDenied", "", "", False),
    (429, "SetLimitExceeded", "", "", False),
    (429, "ModelAccountRpmRateLimitExceeded", "", "", False),
    (400, "InputTextSensitiveContentDetected", "", "", False),
    (400, "OutofContextError", "", "", False),
    (500, "InternalServiceError", "", "", False),
]


@pytest.mark.parametrize(("status", "code", "param", "message", "curable"), CURABLE)
def test_another_kind_of_memory_is_tried_for_what_it_may_cure(
    status, code, param, message, curable
):
    assert ark_error(status, code, param, message, "responses").curable is curable


@pytest.mark.parametrize(
    ("status", "code", "curable"),
    [
        (403, "OperationDenied.ServiceNotOpen", True),
        (403, "AccessDenied", True),
        (404, "InvalidEndpointOrModel.NotFound", True),
        (404, "ModelNotOpen", False),
        (401, "InvalidAccountStatus", False),
        (403, "AccountOverdueError", False),
    ],
)
@pytest.mark.parametrize("api", ["create", "context"])
def test_a_context_api_that_was_shut_is_no_trouble_of_the_account(api, status, code, curable):
    assert ark_error(status, code, api=api).curable is curable


@pytest.mark.parametrize(
    ("status", "body", "from_ark"),
    [
        (404, "", True),
        (404, "404 page not found\n", True),
        (404, "<html>404</html>", False),
        (404, {"message": "Not Found", "code": None}, False),
        (400, {"message": "x", "code": "InvalidParameter"}, False),
        (400, {"message": "x", "code": "InvalidParameter", "type": "BadRequest"}, True),
        (403, "", False),
    ],
)
def test_only_a_well_formed_error_is_an_answer_of_ark(status, body, from_ark):
    assert error_for(Refusal(status, body), "responses", "m").from_ark is from_ark


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("3", 3),
        ("0.5", 0.5),
        ("0", 0),
        ("99999999", 86_400),
        ("Thu, 01 Jan 2026 00:00:00 GMT", 0),
        ("", None),
        ("-3", None),
        ("soon", None),
        ("nan", None),
        ("1e9", None),
        ("9" * 5000, None),
        ("Thu, 99 Foo 2026 00:00:00 GMT", None),
    ],
)
def test_the_wait_that_a_server_asks_for(header, seconds):
    assert seconds_to_wait(header) == seconds


def test_the_wait_may_be_given_as_a_time():
    moment = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 50 < seconds_to_wait(moment) <= 60


QUESTION = "what does my boss earn?"


def test_nothing_that_may_repeat_the_question_gets_into_the_log():
    body = {"code": QUESTION, "message": QUESTION, "param": QUESTION, "type": QUESTION}
    for told in (body, QUESTION, {"message": [QUESTION]}):
        error = error_for(Refusal(400, told, request_id=QUESTION), "chat", "m")
        assert QUESTION not in error.for_log() + str(error) + repr(error)


def test_names_are_bounded():
    body = {"code": "x" * 5000, "message": "Request id: " + "y" * 5000, "param": "z" * 5000}
    assert len(error_for(Refusal(400, body), "chat", "m").for_log()) < 400
