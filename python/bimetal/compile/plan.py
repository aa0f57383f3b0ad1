"""The compiled plan of a route: plain data, written by this package, carried out by the Rust lanes.

Nothing here runs a request. A plan says which lane answers a route, and for the `sync` and `async` lanes how to get
from a request to a call of the handler and from its result to bytes. Whatever a plan cannot express, and any request
that does not fit (a parameter that does not parse, a body of another content type), takes the `asgi` lane, where
FastAPI itself answers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Lane = Literal["native", "sync", "async", "asgi"]
#: Where a parameter stands. Header names count without regard to case.
Source = Literal["path", "query", "header", "cookie"]


@dataclass(frozen=True)
class ParamPlan:
    """One argument of the handler, read from the head of the request."""

    #: Keyword under which the handler takes it.
    keyword: str
    #: Its name in the request (FastAPI's alias).
    alias: str
    source: Source
    #: `str`, `int`, `float` and `bool` are read in Rust; `validator` calls `validate` with the text.
    kind: Literal["str", "int", "float", "bool", "validator"]
    #: Returns the value, or raises: the request then takes the `asgi` lane for FastAPI's own answer.
    validate: Callable[[str], Any] | None = None
    required: bool = True
    #: The value when the request has none; `default_factory`, where given, makes it anew each time.
    default: Any = None
    default_factory: Callable[[], Any] | None = None


@dataclass(frozen=True)
class BodyPlan:
    """The argument of the handler that is the request's JSON body."""

    keyword: str
    #: Called with what `json.loads` gives. Returns the value, or raises: the request takes the `asgi` lane.
    validate: Callable[[Any], Any]
    required: bool = True
    default: Any = None
    default_factory: Callable[[], Any] | None = None


@dataclass(frozen=True)
class ResponsePlan:
    """How the handler's result becomes a body."""

    status: int = 200
    #: With a response model: result -> validated value (raises ValidationError), and that value -> JSON bytes.
    validate: Callable[[Any], Any] | None = None
    to_json: Callable[[Any], bytes] | None = None
    #: Raises what FastAPI raises when `validate` refuses the result: called with the ValidationError and the result.
    invalid: Callable[[Exception, Any], BaseException] | None = None


@dataclass(frozen=True)
class RoutePlan:
    """Which lane answers a route, and how."""

    #: The pattern in Starlette's syntax.
    path: str
    #: The methods, upper case; empty means all.
    methods: tuple[str, ...]
    lane: Lane
    #: Name for logs and tables: the handler's module and qualified name.
    name: str
    #: Why it is not on a faster lane; None where nothing is lost.
    reason: str | None = None
    #: `sync` and `async`: the Python function.
    handler: Callable[..., Any] | None = None
    params: tuple[ParamPlan, ...] = ()
    body: BodyPlan | None = None
    response: ResponsePlan = ResponsePlan()
    #: `sync` and `async`: turns an exception the handler raised, or a `Response` object it returned, into an ASGI
    #: application that answers as FastAPI would.
    replay: Callable[[Any], Callable[..., Any]] | None = None
    #: `native`: the handler's name.
    native: str | None = None
