"""The request's body, read as FastAPI's request handler reads it."""

from __future__ import annotations

import email.message
import json
from dataclasses import dataclass
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic_core import PydanticUndefined
from starlette.exceptions import HTTPException

from bimetal.lane.exchange import Exchange

_LOADS = json.loads


@dataclass(frozen=True)
class BodySettings:
    """How a route takes its body."""

    form: bool
    #: Whether a body without a content type is no JSON.
    strict: bool = True
    #: Whether body parameters are members of the body rather than the whole.
    embed: bool = False


async def read_body(exchange: Exchange, settings: BodySettings) -> Any:
    """The form, the JSON document, the bytes of another type, or PydanticUndefined where there is no body.

    Raises RequestValidationError for JSON that cannot be parsed, HTTPException for any other failure.
    """
    if exchange.inner is not None and (settings.form or not exchange.call.is_buffered):
        # The middleware's request stands between, and may have to wait.
        await exchange.enter_loop()
    try:
        if settings.form:
            form = await exchange.request.form()
            assert exchange.files is not None
            exchange.files.push_async_callback(form.close)
            return form
        return await _json(exchange, settings)
    except json.JSONDecodeError as error:
        raise RequestValidationError(
            [
                {
                    "type": "json_invalid",
                    "loc": ("body", error.pos),
                    "msg": "JSON decode error",
                    "input": {},
                    "ctx": {"error": error.msg},
                }
            ],
            body=error.doc,
            endpoint_ctx=exchange.site.endpoint_context(exchange),
        ) from error
    except HTTPException:
        raise
    except Exception as error:
        raise HTTPException(status_code=400, detail="There was an error parsing the body") from error


async def _json(exchange: Exchange, settings: BodySettings) -> Any:
    call = exchange.call
    if exchange.take_body():
        if not call.body_size:
            return PydanticUndefined
        content_type = call.header("content-type") if exchange.whole else exchange.request.headers.get("content-type")
        if not _is_json(content_type, settings.strict):
            return call.body
        # Rust reads what `json.loads` would, unless the application has put another function there.
        return call.json() if json.loads is _LOADS else json.loads(call.body)
    if exchange.inner is not None:
        await exchange.enter_loop()
    request = exchange.request
    body = await request.body()
    if not body:
        return PydanticUndefined
    return await request.json() if _is_json(request.headers.get("content-type"), settings.strict) else body


def _is_json(content_type: str | None, strict: bool) -> bool:
    if content_type == "application/json":
        return True
    if not content_type:
        return not strict
    message = email.message.Message()
    message["content-type"] = content_type
    if message.get_content_maintype() != "application":
        return False
    subtype = message.get_content_subtype()
    return subtype == "json" or subtype.endswith("+json")
