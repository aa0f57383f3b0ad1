"""The compiled plan of a route: plain data, written by this package, carried out by the lanes.

Nothing here runs a request. A plan says which lane answers a route, and for the `sync` and `async` lanes how to get
from a request to a call of the handler and from its result to bytes. It has two forms:

- `RoutePlan.steps` and what belongs to them: the dependencies of the handler, flattened into the order in which FastAPI
  calls them, and the handler as the last. `bimetal.lane` carries them out.
- `RoutePlan.direct`: where there is one step and it is a bare call, the Rust lane makes it by itself.

The steps' parameters are read in Rust where that is beyond doubt, and by FastAPI's own functions where it is not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from starlette.responses import Response

from bimetal.limits import RateLimit

if TYPE_CHECKING:
    from bimetal.compile.files import FolderPlan, StaticFilesPlan

Lane = Literal["native", "sync", "async", "asgi"]
#: Where a parameter stands. Header names count without regard to case.
Source = Literal["path", "query", "header", "cookie"]


#: Bytes up to which a form is read before its operation starts: Starlette keeps files of this size in memory.
SMALL_BODY = 1024 * 1024


@dataclass(frozen=True)
class ParamPlan:
    """One argument of a step, read from the head of the request."""

    #: Keyword under which the step takes it.
    keyword: str
    #: Its name in the request (FastAPI's alias).
    alias: str
    source: Source
    #: `str`, `int`, `float` and `bool` are read in Rust; `validator` calls `validate` with the text.
    kind: Literal["str", "int", "float", "bool", "validator"]
    #: Returns the value, or raises: FastAPI's own functions then read the step's parameters, for their errors.
    validate: Callable[[str], Any] | None = None
    required: bool = True
    #: The value when the request has none; `default_factory`, where given, makes it anew each time.
    default: Any = None
    default_factory: Callable[[], Any] | None = None


@dataclass(frozen=True)
class BodyPlan:
    """The argument of the handler that is the request's JSON body."""

    keyword: str
    #: Called with what `json.loads` gives, once. Returns the value, or raises ValidationError, which makes the 422.
    validate: Callable[[Any], Any]
    required: bool = True
    default: Any = None
    default_factory: Callable[[], Any] | None = None


@dataclass(frozen=True)
class DirectPlan:
    """A call of the handler that needs nothing but the parameters of its one step and a JSON body."""

    handler: Callable[..., Any]
    body: BodyPlan | None = None
    status: int = 200


#: How a step is run: in a thread; awaited; awaited although it never waits for anything, as FastAPI's own security
#: schemes; entered, and left when the request ends.
StepKind = Literal["function", "coroutine", "immediate", "generator", "async generator"]


@dataclass(frozen=True)
class StepPlan:
    """One call on the way to the response: a dependency, or the handler itself."""

    call: Callable[..., Any]
    kind: StepKind
    #: FastAPI's description of the call: its own functions read from it what is not read in Rust.
    dependant: Any
    #: The steps whose results it takes: keyword (None where only the call counts) and number.
    takes: tuple[tuple[str | None, int], ...] = ()
    #: Where FastAPI's dependency cache keeps the result, and whether this step may take it from there.
    slot: int = 0
    use_cache: bool = True
    #: Its parameters where Rust can read them; None where only FastAPI's functions can.
    params: tuple[ParamPlan, ...] | None = ()
    #: Whether it has path, query, header or cookie parameters, and body parameters.
    reads_head: bool = False
    reads_body: bool = False
    #: The body of a single parameter that is the whole document.
    body: BodyPlan | None = None
    #: Keywords of injected objects, and the scopes of `SecurityScopes`.
    request: tuple[str, ...] = ()
    response: str | None = None
    background: str | None = None
    security_scopes: str | None = None
    scopes: tuple[str, ...] = ()
    #: Left before the response is sent, not after it.
    ends_early: bool = False

    @property
    def limit(self) -> Any:
        """FastAPI's limit of how many requests may be in the step at a time, if it has one."""
        return getattr(self.dependant, "concurrency", None)


@dataclass(frozen=True)
class ResponsePlan:
    """How the handler's result becomes a response."""

    #: The status the route declares; None leaves it to the response class.
    status: int | None = None
    #: The result is encoded in Rust and sent as `application/json`. Otherwise `make` builds the response.
    encoded: bool = True
    #: With a response model: result -> validated value (raises ValidationError), and that value -> JSON bytes.
    validate: Callable[[Any], Any] | None = None
    to_json: Callable[[Any], bytes] | None = None
    #: Gives what FastAPI raises when `validate` refuses the result: called with the ValidationError and the result.
    invalid: Callable[[Exception, Any], BaseException] | None = None
    #: Result -> what the response class takes.
    content: Callable[[Any], Any] | None = None
    #: The response class, for results that are not encoded, or not sent as they are.
    make: Callable[..., Response] = Response


@dataclass(frozen=True)
class CachePlan:
    """What a route asks of the response cache: `bimetal.caching.Cache`, checked. Times in seconds, sizes in bytes."""

    #: The route's path and name, as the application knows them.
    pattern: str
    name: str
    ttl: float
    stale_while_revalidate: float
    stale_if_error: float
    vary: tuple[str, ...]
    cookies: tuple[str, ...]
    query: tuple[str, ...] | None
    ignore_authorization: bool
    ignore_cookies: bool
    honour_requests: bool
    statuses: tuple[int, ...]
    max_size: int
    wait: float
    #: Each in parts: whether that is a path parameter, and its name or the text.
    tags: tuple[tuple[tuple[bool, str], ...], ...]
    status_header: bool


@dataclass(frozen=True)
class RouteLimit:
    """What a route says of how often it may be asked."""

    #: None: it is exempt from the application's limit.
    limit: RateLimit | None
    #: What tells its clients' numbers from those of other routes: methods and path.
    scope: str


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
    #: `sync` and `async`: the calls, in order, the handler last. Empty where FastAPI's own handler makes them.
    steps: tuple[StepPlan, ...] = ()
    #: `sync` and `async`: set where the handler can be called without more.
    direct: DirectPlan | None = None
    response: ResponsePlan = ResponsePlan()
    #: `sync` and `async`: where the operation starts.
    start: Literal["runner", "loop"] = "runner"
    #: `sync` and `async`: how the operation gets the request's body: whole; whole up to `SMALL_BODY` and beyond as it
    #: arrives; as it arrives. On a runner it is whole: what comes as it arrives starts on the loop.
    body: Literal["whole", "small", "stream"] = "whole"
    #: `sync` and `async`: carries out the plan, see `bimetal.lane.operation`.
    operation: Any = None
    #: `native`: the handler's name.
    native: str | None = None
    #: `native`: whether the function has a body that could answer as well.
    twin: bool = False
    #: `native`: the share of GET requests that the body answers as well, to be compared.
    shadow: float | None = None
    #: `native`: the status code the stub declares, for responses that set none.
    status: int | None = None
    #: What is in front of the handler, where the route has a cache.
    cache: CachePlan | None = None
    #: `native`, without a handler: the files that the server sends.
    files: StaticFilesPlan | FolderPlan | None = None
    #: The largest body of a request, in bytes; None: the server's limit.
    max_body_size: int | None = None
    #: The rate limit of its own; None where it has the application's, if there is one.
    rate_limit: RouteLimit | None = None
