"""How Ark says no: status, code, type and message as in its table of errors [D 1299023].

Everything that refuses a request raises `Refusal`; the server writes it out once.
"""

from typing import Any

TYPES = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    429: "TooManyRequests",
    500: "InternalServerError",
}

BUSY = "The specified context is in invalid state: InProgress."


class Refusal(Exception):
    """An answer with an error body instead of a reply."""

    def __init__(self, status: int, code: str, message: str, *, param: str = "") -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code
        self.message = message
        self.param = param
        self.type = TYPES.get(status, "InternalServerError" if status >= 500 else "")

    def body(self, request_id: str) -> dict[str, Any]:
        return {
            "error": {
                "code": self.code,
                "message": f"{self.message} Request id: {request_id}",
                "param": self.param,
                "type": self.type,
            }
        }


def missing(param: str) -> Refusal:
    message = f"The request failed because it is missing `{param}` parameter."
    return Refusal(400, "MissingParameter", message, param=param)


def invalid(param: str, why: str) -> Refusal:
    message = f"The parameter `{param}` specified in the request are not valid: {why}."
    return Refusal(400, "InvalidParameter", message, param=param)


def unknown_role(role: object) -> Refusal:
    message = f"The specified role `{role}` is not one of the supported roles."
    return Refusal(400, "InvalidArgumentError.UnknownRole", message, param="messages.role")


def unknown_field(name: str) -> Refusal:
    return Refusal(400, "InvalidParameter", f'json: unknown field "{name}".')


def bad_key() -> Refusal:
    message = "The API key or AK/SK in the request is missing or invalid."
    return Refusal(401, "AuthenticationError", message)


def unknown_model(model: str) -> Refusal:
    message = f"The model or endpoint {model} does not exist or you do not have access to it."
    return Refusal(404, "InvalidEndpointOrModel.NotFound", message)


def endpoint_needed(model: str) -> Refusal:
    """Contexts take endpoint ids only [D 1528789]; with which code Ark says so is not
    documented. This one means "model ids are switched off, use an endpoint id"."""
    message = f"The model {model} cannot be called by its model id, please use an endpoint id."
    return Refusal(404, "InvalidEndpointOrModel.ModelIDAccessDisabled", message, param="model")


def unsupported(model: str) -> Refusal:
    """A model that is not served by this API: what Ark answers to it is not documented."""
    return invalid("model", f"the requested model {model} does not support this api.")


def too_large(name: str, most: int, got: int) -> Refusal:
    why = f"integer above maximum value, expected a value <= {most}, but got {got} instead"
    return invalid(name, why)


def always_thinks() -> Refusal:
    message = "thinking.type `disabled` is not supported by this model."
    return Refusal(400, "InvalidParameter", message)


def two_limits() -> Refusal:
    message = "max_tokens and max_completion_tokens cannot be set at the same time"
    return invalid("max_tokens", message)


def text_only() -> Refusal:
    return Refusal(400, "InvalidParameter", "Model only support text input.")


def busy() -> Refusal:
    return Refusal(403, "OperationDenied.InvalidState", BUSY)


def lost_context(ref: str) -> Refusal:
    """An expired or unknown context. Ark documents only the generic 404 `NotFound.{Parameter}`."""
    message = f"The specified context {ref} is not found."
    return Refusal(404, "NotFound.context_id", message, param="context_id")


def lost_response(ref: str) -> Refusal:
    message = f"Previous response with id {ref} not found."
    return Refusal(
        400, "InvalidParameter.PreviousResponseNotFound", message, param="previous_response_id"
    )


def empty_image_url() -> Refusal:
    return Refusal(400, "InvalidImageURL.EmptyURL", "Empty image url.")


def bad_image_url() -> Refusal:
    return Refusal(400, "InvalidImageURL.InvalidFormat", "Invalid base64 image url.")


def bad_image_format() -> Refusal:
    message = "The request failed because the image format is not supported by the API."
    code = "InvalidParameter.UnsupportedImageFormat"
    return Refusal(400, code, message, param="image_url")


def oversize_image(why: str) -> Refusal:
    """The code is Ark's; its words and its `param` are not known."""
    message = f"The request failed because {why}."
    return Refusal(400, "InvalidParameter.OversizeImage", message, param="image_url")


def bad_detail(detail: object) -> Refusal:
    message = f"Invalid image detail: {detail}."
    return Refusal(400, "InvalidArgumentError.InvalidImageDetail", message)


def bad_pixel_limit() -> Refusal:
    return Refusal(400, "InvalidArgumentError.InvalidPixelLimit", "Invalid image pixel limit.")


def slow_download(url: str) -> Refusal:
    return Refusal(400, "InvalidParameter", f"Timeout while downloading url: {url}.")


def file_busy() -> Refusal:
    message = "The specified file is in invalid state: InProgress."
    return Refusal(403, "OperationDenied.InvalidState", message)


def lost_file(ref: str) -> Refusal:
    message = f"The specified file {ref} is not found."
    return Refusal(404, "NotFound.file_id", message, param="file_id")
