"""What a request is answered with when it cannot be served: a canonical status, and the HTTP code that goes with it."""

CODES = {
    "INVALID_ARGUMENT": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}


class Problem(Exception):
    """A request that ends with an error; `status` is one of CODES, and `code` its HTTP code unless given.

    The message is for the caller: one sentence that names what is wrong and the mend, and nothing of other callers.
    """

    def __init__(self, status: str, message: str, code: int | None = None, headers: dict[str, str] | None = None):
        super().__init__(message)
        self.status, self.message, self.code = status, message, code or CODES[status]
        self.headers = headers or {}


def while_answering(error: Exception) -> Problem:
    """What is told of an error after an answer has begun: of our own all of it, of any other nothing."""
    if isinstance(error, Problem):
        return error
    return Problem("INTERNAL", "the engine failed; send the request again")


def gemini_body(problem: Problem) -> dict:
    """`google.rpc.Status` as JSON, which the SDK turns into ClientError or ServerError."""
    return {"error": {"code": problem.code, "message": problem.message, "status": problem.status}}


def openai_body(problem: Problem) -> dict:
    """OpenAI's error object."""
    kinds = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}
    kind = kinds.get(problem.code, "server_error" if problem.code >= 500 else "invalid_request_error")
    code = {"UNAUTHENTICATED": "invalid_api_key"}.get(problem.status)
    return {"error": {"message": problem.message, "type": kind, "param": None, "code": code}}
