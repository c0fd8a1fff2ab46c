"""Every error a person can meet.

    ChatbotError
    ├── BadSettings
    ├── BadInput
    │   ├── EmptyMessage
    │   ├── MessageTooLong
    │   ├── BadName
    │   │   └── MixedScripts
    │   ├── BadPassword
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
English; `ui/texts.py` holds the same sentences in Chinese, by code.
"""

import math
import traceback
from pathlib import Path


class ChatbotError(Exception):
    """Something went wrong in a way that can be told to the person at the screen."""

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
    """What was typed cannot be taken as it is."""

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
    """The password is too short, too long, or among the commonest."""

    code = "bad_password"
    sentence = "A password has 8 to 128 characters and is not one of the commonest."


class BodyTooLarge(BadInput):
    """The body of a request is longer than any that this app's page sends."""

    code = "body_too_large"
    sentence = "That is more text than this app takes at once."
    status = 413


class NoSuchAddress(ChatbotError):
    """The request is for something that the page does not need, so it is not served."""

    code = "no_such_address"
    sentence = "There is nothing at this address."
    status = 404


class UnknownHost(ChatbotError):
    """The request names a host that this app does not go by; see ALLOWED_HOSTS."""

    code = "unknown_host"
    sentence = "This app does not go by that name. Its owner can add it to ALLOWED_HOSTS."
    status = 403


class CrossSite(ChatbotError):
    """Another site's page tried to act in the name of whoever is logged in here."""

    code = "cross_site"
    sentence = "This request came from another site and was refused."
    status = 403


class TabLost(ChatbotError):
    """The tab that is named belongs to another login, or to nobody any more."""

    code = "tab_lost"
    sentence = "This page belongs to another login. Load it again."
    status = 403


class TooManyRequests(ChatbotError):
    """The person, or everybody at this address, has too many tabs, events or streams open."""

    code = "too_many_requests"
    sentence = "Too many requests at once. Try again in {seconds} seconds."
    status = 429


class NotLoggedIn(ChatbotError):
    """There is no login behind the request, or it has ended."""

    code = "not_logged_in"
    sentence = "Please log in first."
    status = 401


class AdminsOnly(ChatbotError):
    """Only accounts with the admin flag may do this."""

    code = "admins_only"
    sentence = "Only admins of this demo may do this."
    status = 403


class LoginRefused(ChatbotError):
    """Name and password do not belong together; which of the two is wrong is not told."""

    code = "login_refused"
    sentence = "Name or password is wrong."
    status = 401


class NameTaken(ChatbotError):
    """Somebody else has this name, possibly in other capitals."""

    code = "name_taken"
    sentence = "This name is taken. Choose another one."
    status = 409


class RegistrationClosed(ChatbotError):
    """No new accounts are made here."""

    code = "registration_closed"
    sentence = "New accounts are not open here. Ask the owner of this demo."
    status = 403


class InvitationRefused(ChatbotError):
    """An invitation is needed, and the one given is unknown, used up or expired."""

    code = "invitation_refused"
    sentence = "An invitation is needed, and this one is not valid (any more)."
    status = 403


class TooManyAttempts(ChatbotError):
    """Too many tries from this address or for this account; it passes by itself."""

    code = "too_many_attempts"
    sentence = "Too many attempts. Try again in {seconds} seconds."
    status = 429


class ConversationNotFound(ChatbotError):
    """The conversation does not exist, was deleted, or belongs to somebody else."""

    code = "conversation_not_found"
    sentence = "This session does not exist any more."
    status = 404


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
    """The turn could cross what this person may use today."""

    code = "budget_used_up"
    sentence = "Your tokens for today do not suffice for this. They are renewed at {resets}."
    status = 429


class AppBudgetUsedUp(BudgetUsedUp):
    """The turn could cross what the whole app may spend today."""

    code = "app_budget_used_up"
    sentence = "This demo's budget for today is used up. It is renewed at {resets}."


class MonthlyBudgetUsedUp(BudgetUsedUp):
    """The turn could cross what the whole app may spend this month."""

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
    """The database refused a statement: a fault of this app, not of the disk or the server."""

    code = "storage_fault"
    sentence = "Something went wrong on the server, and it was logged. Your text is kept."
    status = 500


class SearchNotDone(ChatbotError):
    """A search was ended before it had looked everywhere."""

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

    `retryable`: a retry within seconds makes sense. `patience`: how many times longer than usual
    to wait before it. `applied`: Ark may have taken the turn into the context although no answer
    came, and counted it. `wrote`: Ark may have begun to answer. `curable`: another kind of memory
    may be served where this call was refused. `from_ark`: the answer has Ark's form, so no proxy
    on the way gave it. `retry_after` is in seconds, None when no wait was asked for. `detail` is
    what the provider said: it may repeat the question, so it is never logged.
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
        """What is stored with the reply: the code, and behind a colon what its sentence needs."""
        return self.code

    def for_log(self) -> str:
        """One line an owner can act on: our code, then Ark's status, code, parameter and request
        id. Not Ark's words, which may be the user's."""
        return (
            f"{self.code} status={self.ark_status or '-'} ark_code={self.ark_code or '-'} "
            f"param={self.param or '-'} request_id={self.request_id or '-'}"
        )


def _visible(told: str, length: int) -> str:
    """What a server told, short and in visible characters, so that it can be stored and shown."""
    return "".join(char for char in told if char.isprintable())[:length]


def traced(error: BaseException) -> str:
    """An error for the log: its class and the lines it went through. Not its message: that of a
    database may hold the row that it did not take."""
    frames = traceback.extract_tb(error.__traceback__)
    places = (f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames)
    return f"{type(error).__name__} in {' > '.join(places)}"


class ContextLost(ArkError):
    """The context or previous response is unknown to Ark, or has expired."""

    code = "context_lost"
    sentence = "The model's memory of this session was lost and could not be rebuilt."
    applied = False


class ContextBusy(ContextLost):
    """Ark still works on an earlier request of this context, so the context is given up."""

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
    """What answers at ARK_BASE_URL knows no such path."""

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
    """Ark found fault with the request itself (400)."""

    code = "bad_request"
    sentence = "The model service did not accept this request."
    applied = False
    curable = True


class FieldRefused(BadRequest):
    """Ark takes the request without one field, or with a smaller number in it.

    `field` is its outermost name; `at_most` the largest number allowed, None when the field is
    not known at all.
    """

    field = ""
    at_most: int | None = None
    by_model = False
    """Whether the model lacks the field, whatever was asked before."""


class PromptTooLong(ArkError):
    """Question and history do not fit the model's window.

    `window` is its tokens, 0 when that was not told; `counts_reply`: the longest reply has to fit
    in, too.
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
    """Too many requests, and the next is welcome only after longer than anybody waits."""

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
    """A quota is used up (429, a retry is in vain)."""

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
    """Ark sheds load (429)."""

    code = "ark_overloaded"
    patience = 5


class ArkUnavailable(ArkError):
    """Ark cannot be reached, or answered 5xx."""

    code = "ark_unavailable"
    sentence = "The model service cannot be reached right now. Try again in a moment."
    retryable = True


class AddressUnknown(ArkUnavailable):
    """No machine has the name in ARK_BASE_URL, or nobody can be asked for it."""

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
    """The service went on and on without a word of an answer."""

    code = "reply_too_long"
    sentence = "The model service sent far more than an answer, so it was left."
