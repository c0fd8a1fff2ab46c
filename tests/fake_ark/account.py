"""The states of a model in an account, and how Ark refuses the model in each."""

from typing import Any, Literal, get_args

from chatbot.ark.offline.refusals import Refusal, unknown_model

State = Literal["open", "not_opened", "retired", "limit_set", "quota_gone"]
STATES: tuple[State, ...] = get_args(State)
Plugin = Literal["open", "closed"]
"""Whether the account has opened web search, which is free but has to be done by hand."""
Standing = Literal["good", "overdue"]
"""Whether the account has paid."""
ACCOUNT = 2100000000


def check_standing(standing: Standing) -> None:
    """Refuse whatever an account that owes money asks of a model."""
    if standing == "overdue":
        message = "The request failed because your account has an overdue balance."
        raise Refusal(403, "AccountOverdueError", message)


def too_fast() -> Refusal:
    """A burst of requests, more than Ark lets pass at once."""
    message = "System protection triggered by request burst."
    return Refusal(429, "RequestBurstTooFast", message)


def check_state(name: str, state: State) -> None:
    """Refuse a model that the account cannot use, as every API does."""
    match state:
        case "not_opened":
            raise Refusal(
                404,
                "ModelNotOpen",
                f"Your account {ACCOUNT} has not activated the model {name}. "
                "Please activate the model service in the Ark Console.",
            )
        case "retired":
            raise unknown_model(name)
        case "limit_set":
            raise Refusal(
                429,
                "SetLimitExceeded",
                f"Your account [{ACCOUNT}] has reached the set inference limit for the [{name}] "
                "model, and the model service has been paused. To continue using this model, "
                'please visit the Model Activation page to adjust or close the "Safe Experience '
                'Mode".',
            )
        case "quota_gone":
            raise Refusal(
                429,
                "QuotaExceeded",
                f"Your account [{ACCOUNT}] has exhausted its free trial quota for the [{name}] "
                "model.",
            )


def check_search(body: dict[str, Any], plugin: Plugin) -> None:
    """Refuse a web search that the account has not opened."""
    tools = body.get("tools")
    offered = [tool.get("type") for tool in tools or [] if isinstance(tool, dict)]
    if plugin == "closed" and "web_search" in offered:
        raise Refusal(
            404,
            "ToolNotOpen",
            "Your account has not activated web search. You may activate it at "
            "https://console.volcengine.com/common-buy/CC_content_plugin.",
        )
