"""Every error that a user can see.

    ChatbotError
    ├── BadSettings
    ├── BadInput
    │   ├── EmptyMessage
    │   ├── MessageTooLong
    │   ├── BadName
    │   │   └── MixedScripts
    │   ├── BadPassword
    │   ├── TooManyAttachments
    │   ├── FileNotRead
    │   ├── FileTooLarge
    │   └── BodyTooLarge
    ├── NoSuchAddress
    ├── UnknownHost
    ├── CrossSite
    ├── TabLost
    ├── TooManyRequests
    ├── NotLoggedIn
    ├── AdminsOnly
    ├── LoginRefused
    ├── NameTaken
    ├── RegistrationClosed
    ├── InvitationRefused
    ├── TooManyAttempts
    ├── ConversationNotFound
    ├── AttachmentNotFound
    ├── TurnRunning
    ├── ChangedElsewhere
    ├── TooManyTurns
    ├── SendingTooFast
    ├── Paused
    ├── BudgetUsedUp
    │   ├── AppBudgetUsedUp
    │   └── MonthlyBudgetUsedUp
    ├── StorageUnavailable
    │   ├── StorageDamaged
    │   └── StorageMissing
    ├── StorageFault
    ├── SearchNotDone
    │   ├── SearchTooLong
    │   └── SearchReplaced
    └── ArkError
        ├── ContextLost
        │   └── ContextBusy
        ├── KeyRefused
        ├── PlanKey
        ├── AccessRefused
        ├── AccountOverdue
        ├── ModelNotFound
        │   ├── ModelNotOpen
        │   ├── EndpointNeeded
        │   └── EndpointClosed
        ├── WrongAddress
        ├── ToolNotOpen
        ├── NotSupported
        ├── BadRequest
        │   └── FieldRefused
        ├── PicturesNotRead
        ├── PictureRefused
        ├── PromptTooLong
        ├── Moderated
        ├── RateLimited
        │   ├── ArkOverloaded
        │   └── BusyFor
        ├── QuotaUsedUp
        │   ├── FreeQuotaUsedUp
        │   └── LimitReached
        ├── ArkUnavailable
        │   ├── AddressUnknown
        │   └── CertificateRefused
        ├── ArkSilent
        └── StreamBroken
            └── ReplyTooLong

Each class has a stable `code` (what tests, logs and JSON answers name) and a `sentence` in
English; `errors_zh.py` holds the same sentences in Chinese, by code.
"""

import math
import traceback
from pathlib import Path


class ChatbotError(Exception):
    """An error with a message for the user."""

    code = "error"
    sentence = "Something went wrong. Please try again."
    status = 400

    def __init__(self, **values: object) -> None:
        self.values = values
        super().__init__(self.sentence.format_map(values) if values else self.sentence)


class BadSettings(ChatbotError):
    """The environment or `.env` holds a setting that cannot be used."""

    code = "bad_settings"
    sentence = "{problems}"

    def __init__(self, problems: list[str]) -> None:
        super().__init__(problems="; ".join(problems))


class BadInput(ChatbotError):
    """The input is not valid."""

    code = "bad_input"
    sentence = "That request could not be understood."


class EmptyMessage(BadInput):
    """Nothing but white space was sent."""

    code = "empty_message"
    sentence = "Type a message first."


class MessageTooLong(BadInput):
    """The message is longer than MAX_INPUT_CHARS."""

    code = "message_too_long"
    sentence = "That message has {length} characters; at most {limit} are allowed."


class BadName(BadInput):
    """The name is too short, too long, or has characters that cannot be shown."""

    code = "bad_name"
    sentence = "A name has 2 to 32 visible characters."


class MixedScripts(BadName):
    """The name mixes alphabets whose letters look like each other's, such as Latin and Cyrillic."""

    code = "mixed_scripts"
    sentence = "A name is written in one alphabet: letters of different ones look alike."


class BadPassword(BadInput):
    """The password is too short, too long, or one of the most common."""

    code = "bad_password"
    sentence = "A password has 8 to 128 characters and is not one of the commonest."


class BodyTooLarge(BadInput):
    """The body of a request is longer than the page ever sends."""

    code = "body_too_large"
    sentence = "That is more text than this app takes at once."
    status = 413


class NoSuchAddress(ChatbotError):
    """The page does not need this address, so it is not served."""

    code = "no_such_address"
    sentence = "There is nothing at this address."
    status = 404


class UnknownHost(ChatbotError):
    """The request names a host that is not this app's; see ALLOWED_HOSTS."""

    code = "unknown_host"
    sentence = "This app does not go by that name. Its owner can add it to ALLOWED_HOSTS."
    status = 403


class CrossSite(ChatbotError):
    """A page of another site tried to act with the user's login."""

    code = "cross_site"
    sentence = "This request came from another site and was refused."
    status = 403


class TabLost(ChatbotError):
    """The tab belongs to another login, or no longer exists."""

    code = "tab_lost"
    sentence = "This page belongs to another login. Load it again."
    status = 403


class TooManyRequests(ChatbotError):
    """The user, or all visitors of this address, have too many tabs, events or streams open."""

    code = "too_many_requests"
    sentence = "Too many requests at once. Try again in {seconds} seconds."
    status = 429


class NotLoggedIn(ChatbotError):
    """The request has no login, or the login has ended."""

    code = "not_logged_in"
    sentence = "Please log in first."
    status = 401


class AdminsOnly(ChatbotError):
    """Only accounts with the admin flag may do this."""

    code = "admins_only"
    sentence = "Only admins of this demo may do this."
    status = 403


class LoginRefused(ChatbotError):
    """Name or password is wrong; the error does not say which."""

    code = "login_refused"
    sentence = "Name or password is wrong."
    status = 401


class NameTaken(ChatbotError):
    """Somebody else has this name, possibly with other capitals."""

    code = "name_taken"
    sentence = "This name is taken. Choose another one."
    status = 409


class RegistrationClosed(ChatbotError):
    """Registration is closed."""

    code = "registration_closed"
    sentence = "New accounts are not open here. Ask the owner of this demo."
    status = 403


class InvitationRefused(ChatbotError):
    """An invitation is needed, and the one given is unknown, used up or expired."""

    code = "invitation_refused"
    sentence = "An invitation is needed, and this one is not valid (any more)."
    status = 403


class TooManyAttempts(ChatbotError):
    """Too many attempts from this address or for this account; the user has to wait."""

    code = "too_many_attempts"
    sentence = "Too many attempts. Try again in {seconds} seconds."
    status = 429


class ConversationNotFound(ChatbotError):
    """The conversation does not exist, was deleted, or belongs to somebody else."""

    code = "conversation_not_found"
    sentence = "This session does not exist any more."
    status = 404


class AttachmentNotFound(ChatbotError):
    """The file does not exist, was deleted, or belongs to somebody else."""

    code = "attachment_not_found"
    sentence = "A picture or file of this message is not here any more. Add it again."
    status = 404


class TooManyAttachments(BadInput):
    """More files than one message may have."""

    code = "too_many_attachments"
    sentence = "A message can have {limit} pictures or files at most."


class FileNotRead(BadInput):
    """The file is not a picture or PDF that can be read, whatever its name says."""

    code = "file_not_read"
    sentence = "This file cannot be read as a picture or a PDF."


class FileTooLarge(BadInput):
    """The file has too many bytes, pixels or pages."""

    code = "file_too_large"
    sentence = (
        "This file is too large: at most {megabytes} MB, {megapixels} million pixels and {pages} "
        "pages are allowed."
    )
    status = 413


class TurnRunning(ChatbotError):
    """The conversation has a running reply already."""

    code = "turn_running"
    sentence = "An answer is still being written in this session. Wait for it or stop it."
    status = 409


class ChangedElsewhere(ChatbotError):
    """The message acted on is not (any more) where the page shows it."""

    code = "changed_elsewhere"
    sentence = "This session was changed in another tab. Look again, then try once more."
    status = 409


class TooManyTurns(ChatbotError):
    """The person, or this server, has as many running replies as allowed."""

    code = "too_many_turns"
    sentence = "Too many answers are being written right now. Wait for one to end."
    status = 429


class SendingTooFast(ChatbotError):
    """The person, or everybody at this address, sent too often within a minute."""

    code = "sending_too_fast"
    sentence = "You are sending too fast. Try again in {seconds} seconds."
    status = 429


class Paused(ChatbotError):
    """The owner has paused all spending."""

    code = "paused"
    sentence = "This demo is paused by its owner. Your sessions are kept; try again later."
    status = 503


class BudgetUsedUp(ChatbotError):
    """The turn could exceed what this user may use today."""

    code = "budget_used_up"
    sentence = "Your tokens for today do not suffice for this. They are renewed at {resets}."
    status = 429


class AppBudgetUsedUp(BudgetUsedUp):
    """The turn could exceed what the whole app may spend today."""

    code = "app_budget_used_up"
    sentence = "This demo's budget for today is used up. It is renewed at {resets}."


class MonthlyBudgetUsedUp(BudgetUsedUp):
    """The turn could exceed what the whole app may spend this month."""

    code = "monthly_budget_used_up"
    sentence = "This demo's budget for this month is used up. It is renewed at {resets}."


class StorageUnavailable(ChatbotError):
    """The database does not answer: disk full, locked by another program, or server gone."""

    code = "storage_unavailable"
    sentence = "The server cannot save right now. Your text is kept; try again in a moment."
    status = 503


class StorageDamaged(StorageUnavailable):
    """The database's file is corrupted, or something else has been written over it."""

    code = "storage_damaged"
    sentence = "This demo's database is damaged. Its owner has to restore it; please tell them."


class StorageMissing(StorageUnavailable):
    """The database's file was removed, renamed or replaced while the app runs."""

    code = "storage_missing"
    sentence = (
        "This demo's database file is not where it was. Its owner has to look; please tell them."
    )


class StorageFault(ChatbotError):
    """The database rejected a statement: a bug in this app, not in the disk or the server."""

    code = "storage_fault"
    sentence = "Something went wrong on the server, and it was logged. Your text is kept."
    status = 500


class SearchNotDone(ChatbotError):
    """A search ended before it was complete."""

    code = "search_not_done"
    sentence = "This search was not completed."


class SearchTooLong(SearchNotDone):
    """It took longer than a search may."""

    code = "search_too_long"
    sentence = "That search takes too long. Look for fewer words, or rarer ones."
    status = 503


class SearchReplaced(SearchNotDone):
    """The same person started another one while this one waited."""

    code = "search_replaced"
    sentence = "Another search of yours took the place of this one."
    status = 409


class ArkError(ChatbotError):
    """Ark, or the way to it, refused or failed.

    `retryable`: a retry within seconds makes sense. `patience`: factor for the wait before it.
    `applied`: Ark may have added the turn to the context and counted it, although no answer came.
    `wrote`: Ark may have begun to answer. `curable`: another kind of memory may work. `from_ark`:
    the response has Ark's form, so it does not come from a proxy. `retry_after`: seconds, None if
    the server asked for no wait. `detail`: the provider's message; it may repeat the question, so
    it is never logged.
    """

    code = "ark_error"
    sentence = "The model service reported an error. Please try again later."
    status = 502
    retryable = False
    patience = 1
    applied = True
    wrote = True
    curable = False

    def __init__(
        self,
        detail: str = "",
        *,
        model: str = "",
        ark_code: str = "",
        ark_status: int = 0,
        param: str = "",
        request_id: str = "",
        retry_after: float | None = None,
        from_ark: bool = False,
    ) -> None:
        named = "{model}" in self.sentence
        super().__init__(**({"model": model or "ARK_MODEL"} if named else {}))
        self.detail = detail
        self.ark_code = _visible(ark_code, 100)
        self.ark_status = ark_status
        self.param = _visible(param, 100)
        self.request_id = _visible(request_id, 80)
        self.retry_after = retry_after
        self.from_ark = from_ark

    @property
    def reason(self) -> str:
        """Stored with the reply: the code, and after a colon the value that its sentence needs."""
        return self.code

    def for_log(self) -> str:
        """One line for the owner: our code, then Ark's status, code, parameter and request id. Not
        Ark's message, which may quote the user."""
        return (
            f"{self.code} status={self.ark_status or '-'} ark_code={self.ark_code or '-'} "
            f"param={self.param or '-'} request_id={self.request_id or '-'}"
        )


def _visible(told: str, length: int) -> str:
    """A server's text, cut and without invisible characters, so that it can be stored and shown."""
    return "".join(char for char in told if char.isprintable())[:length]


def traced(error: BaseException) -> str:
    """An error for the log: its class and traceback lines. Not its message: a database error may
    quote the row that was refused."""
    frames = traceback.extract_tb(error.__traceback__)
    places = (f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames)
    return f"{type(error).__name__} in {' > '.join(places)}"


class ContextLost(ArkError):
    """The context or previous response is unknown to Ark, or has expired."""

    code = "context_lost"
    sentence = "The model's memory of this session was lost and could not be rebuilt."
    applied = False


class ContextBusy(ContextLost):
    """Ark still works on an earlier request of this context, so the context is dropped."""

    code = "context_busy"


class KeyRefused(ArkError):
    """Ark does not accept the API key (401)."""

    code = "key_refused"
    sentence = "The model service refused this demo's key. Its owner has to check ARK_API_KEY."
    applied = False


class PlanKey(ArkError):
    """The key or the address belongs to one of Ark's subscription plans (400)."""

    code = "plan_key"
    sentence = (
        "This demo's key or address belongs to a coding plan. Its owner needs a key of Ark itself "
        "and ARK_BASE_URL=https://ark.cn-beijing.volces.com/api/v3."
    )
    applied = False


class AccessRefused(ArkError):
    """The account may not use this service (403)."""

    code = "access_refused"
    sentence = "This demo's account may not use the model. Its owner has to check Ark's console."
    applied = False


class AccountOverdue(ArkError):
    """The account's balance is overdue (403)."""

    code = "account_overdue"
    sentence = "This demo's account with the model service is overdue. Please tell its owner."
    applied = False


class ModelNotFound(ArkError):
    """The model does not exist, was retired, or this account has no access to it (404)."""

    code = "model_not_found"
    sentence = (
        "The model {model} does not exist (any more), or this demo's account has no access to it. "
        "Its owner has to check ARK_MODEL."
    )
    applied = False


class ModelNotOpen(ModelNotFound):
    """The account has not opened the model (404)."""

    code = "model_not_open"
    sentence = (
        "The model {model} is not opened for this demo's account. Its owner opens it in Ark's "
        "console under “Model activation” (开通管理); that takes effect within minutes."
    )


class EndpointNeeded(ModelNotFound):
    """The account may call models by endpoints only (404)."""

    code = "endpoint_needed"
    sentence = (
        "This demo's account may not call {model} by its model id. Its owner has to set ARK_MODEL "
        "to the id of an endpoint (ep-…) of Ark's console."
    )


class EndpointClosed(ModelNotFound):
    """The endpoint is switched off (400)."""

    code = "endpoint_closed"
    sentence = (
        "The endpoint {model} is switched off. Its owner has to start it again in Ark's console "
        "under “Online inference” (在线推理)."
    )


class WrongAddress(ArkError):
    """The server at ARK_BASE_URL does not have this path."""

    code = "wrong_address"
    sentence = (
        "No model service answers at this address. This demo's owner has to check ARK_BASE_URL: "
        "for Ark it ends in /api/v3, for other servers mostly in /v1."
    )
    applied = False


class ToolNotOpen(ArkError):
    """The account has not opened the web search plug-in (404)."""

    code = "tool_not_open"
    sentence = (
        "Web search is not opened for this demo's account. Its owner opens it in Ark's console "
        "under “Component library” (组件库)."
    )
    applied = False


class NotSupported(ArkError):
    """The model does not serve this API (for example the Context API)."""

    code = "not_supported"
    sentence = "This model cannot remember a session in the chosen way."
    applied = False
    curable = True


class BadRequest(ArkError):
    """Ark rejected the request as invalid (400)."""

    code = "bad_request"
    sentence = "The model service did not accept this request."
    applied = False
    curable = True


class FieldRefused(BadRequest):
    """Ark rejects one field of the request, or its number is too large.

    `field` is its top-level name; `at_most` is the largest number allowed, None if the field is
    not supported at all.
    """

    field = ""
    at_most: int | None = None
    by_model = False
    """Whether the model itself lacks the field, also without an earlier response."""


class PicturesNotRead(ArkError):
    """The model reads no pictures or files (400)."""

    code = "pictures_not_read"
    sentence = (
        "The model {model} cannot read pictures. Choose another model, or ask without a picture."
    )
    applied = False


class PictureRefused(ArkError):
    """The model service cannot read a picture or file of the question (400)."""

    code = "picture_refused"
    sentence = "The model service could not read a picture or file. Try another one."
    applied = False


class PromptTooLong(ArkError):
    """Question and history do not fit the model's window.

    `window` is its size in tokens, 0 if unknown; `counts_reply`: the longest reply must fit into
    it, too.
    """

    window = 0
    counts_reply = False

    code = "prompt_too_long"
    sentence = "This session and question are too long for the model. Start a new session."
    applied = False


class Moderated(ArkError):
    """Ark's content check refused the question or the answer."""

    code = "moderated"
    sentence = "The content check of the model service refused this. Try to word it differently."


class RateLimited(ArkError):
    """Too many requests or tokens per minute (429)."""

    code = "rate_limited"
    sentence = "The model is very busy right now. Try again in a minute."
    retryable = True
    applied = False


class BusyFor(RateLimited):
    """Too many requests, and Ark asks for a longer wait than users accept."""

    code = "busy_for"
    sentence = "The model is very busy right now. Try again in {seconds} seconds."
    retryable = False

    def __init__(self, error: ArkError) -> None:
        super().__init__(
            error.detail,
            ark_code=error.ark_code,
            ark_status=error.ark_status,
            param=error.param,
            request_id=error.request_id,
            retry_after=error.retry_after,
            from_ark=error.from_ark,
        )
        self.applied, self.wrote = error.applied, error.wrote
        self.seconds = math.ceil(error.retry_after or 0)
        self.values = {"seconds": self.seconds}
        self.args = (self.sentence.format_map(self.values),)

    @property
    def reason(self) -> str:
        return f"{self.code}:{self.seconds}"


class QuotaUsedUp(ArkError):
    """A quota is used up (429, a retry is useless)."""

    code = "quota_used_up"
    sentence = "This demo's quota at the model service is used up. Please tell its owner."
    applied = False


class FreeQuotaUsedUp(QuotaUsedUp):
    """The free tokens of the model are used up (429)."""

    code = "free_quota_used_up"
    sentence = (
        "The free tokens of {model} are used up. This demo's owner has to open the paid service "
        "in Ark's console under “Model activation” (开通管理), or choose another model."
    )


class LimitReached(QuotaUsedUp):
    """The limit that the account has set for the model is reached (429)."""

    code = "limit_reached"
    sentence = (
        "The limit of {model} is reached, and “Safe experience mode” (安心体验模式) has paused it. "
        "This demo's owner can switch that off in Ark's console under “Model activation” "
        "(开通管理), or choose another model."
    )


class ArkOverloaded(RateLimited):
    """Ark is overloaded, or gets more requests than it starts at once (429).

    Ark's advice is to wait 5 to 30 seconds.
    """

    code = "ark_overloaded"
    patience = 10


class ArkUnavailable(ArkError):
    """Ark cannot be reached, or answered 5xx."""

    code = "ark_unavailable"
    sentence = "The model service cannot be reached right now. Try again in a moment."
    retryable = True


class AddressUnknown(ArkUnavailable):
    """The host name in ARK_BASE_URL cannot be resolved."""

    code = "address_unknown"
    sentence = (
        "The model service's address is not known. This demo's owner has to check ARK_BASE_URL "
        "and the network."
    )


class CertificateRefused(ArkUnavailable):
    """The connection could not be made secure: the certificate is not trusted, or plain HTTP
    answers."""

    code = "certificate_refused"
    sentence = (
        "The model service has no certificate that can be trusted. This demo's owner has to check "
        "ARK_BASE_URL."
    )
    retryable = False


class ArkSilent(ArkError):
    """No byte came for FIRST_TOKEN_SECONDS or IDLE_SECONDS."""

    code = "ark_silent"
    sentence = "The model did not answer in time. Please try again."


class StreamBroken(ArkError):
    """The answer broke off: connection lost, malformed, or ended without a finish_reason."""

    code = "stream_broken"
    sentence = "The connection to the model broke off in the middle of the answer."


class ReplyTooLong(StreamBroken):
    """The service sent too many events without any answer text."""

    code = "reply_too_long"
    sentence = "The model service sent far more than an answer, so it was left."
