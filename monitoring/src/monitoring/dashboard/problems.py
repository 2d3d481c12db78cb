"""Errors as problem details (RFC 9457): what, where and what is allowed, in one place."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from monitoring.errors import LakeBeingReadError, MonitoringError

ASK_AGAIN_S = 5


def handle_problems(app: FastAPI) -> None:
    """Have every error of the app rendered as a problem."""

    @app.exception_handler(MonitoringError)
    def expected(_: Request, error: MonitoringError) -> JSONResponse:
        found = {"where": error.where, "what": error.what, "allowed": error.allowed}
        answer = problem(error.status, error.title, [found])
        if isinstance(error, LakeBeingReadError):  # who looks at a page sees it when it is there
            answer.headers.update({"Retry-After": str(ASK_AGAIN_S), "Refresh": str(ASK_AGAIN_S)})
        return answer

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        found = [
            {
                "where": ".".join(map(str, one["loc"])),
                "what": f"is {one['input']!r:.80}",
                "allowed": one["msg"],
            }
            for one in error.errors()
        ]
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "Invalid request", found)

    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> JSONResponse:
        allowed = (error.headers or {}).get("allow", "the paths in /openapi.json")
        found = {"where": request.url.path, "what": str(error.detail), "allowed": allowed}
        answer = problem(error.status_code, HTTPStatus(error.status_code).phrase, [found])
        answer.headers.update(error.headers or {})
        return answer


def problem(status: int, title: str, errors: list[dict[str, Any]]) -> JSONResponse:
    content = {"type": "about:blank", "title": title, "status": int(status), "errors": errors}
    return JSONResponse(content, status_code=int(status), media_type="application/problem+json")
