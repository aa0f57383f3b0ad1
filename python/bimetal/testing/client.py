"""`TestClient`: Starlette's test client over a real socket."""

from __future__ import annotations

import inspect
import warnings
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal
from urllib.parse import urljoin

from starlette._utils import is_async_callable
from typing_extensions import Self

from bimetal.testing.http import httpx
from bimetal.testing.served import ServerSlot
from bimetal.testing.transport import SocketTransport
from bimetal.testing.websocket import WebSocketTestSession

RequestData = Mapping[str, str | Iterable[str] | bytes]


class TestClient(httpx.Client):
    """Sends requests to an application served by a `bimetal.Server` of its own.

    The server starts with the first request and stops when the client is closed or collected. Entering the client runs
    the application's lifespan, as with Starlette's.

    Args:
        app: A FastAPI application, or any other ASGI application.
        base_url: What relative URLs are relative to; its host is sent, not connected to.
        raise_server_exceptions: Raise what leaves the application; otherwise a test sees the response only.
        root_path: The ASGI `root_path`.
        backend: `"asyncio"`; there is no trio here.
        backend_options: `{"use_uvloop": False}` runs the application on asyncio's own loop.
        cookies: Sent with every request.
        headers: Sent with every request.
        follow_redirects: Follow redirects.
        client: Accepted for compatibility; the application sees the connection's real address.

    Example:
        ```python
        client = TestClient(app)
        assert client.get("/items/3").status_code == 200
        ```
    """

    __test__ = False

    def __init__(
        self,
        app: Callable[..., Any],
        base_url: str = "http://testserver",
        raise_server_exceptions: bool = True,
        root_path: str = "",
        backend: Literal["asyncio", "trio"] = "asyncio",
        backend_options: dict[str, Any] | None = None,
        cookies: Any = None,
        headers: dict[str, str] | None = None,
        follow_redirects: bool = True,
        client: tuple[str, int] = ("testclient", 50000),
    ) -> None:
        if backend != "asyncio":
            raise ValueError(f"backend={backend!r}: Bimetal serves applications on asyncio only")
        self.app = app
        #: What the lifespan puts into its state.
        self.app_state: dict[str, Any] = {}
        asgi = app if _is_asgi3(app) else _asgi2(app)
        uvloop = bool((backend_options or {}).get("use_uvloop", True))
        self._slot = ServerSlot(asgi, root_path, uvloop, self.app_state)
        self._sockets = SocketTransport(self._slot, raise_server_exceptions)
        headers = {} if headers is None else headers
        headers.setdefault("user-agent", "testclient")
        super().__init__(
            base_url=base_url,
            headers=headers,
            transport=self._sockets,
            follow_redirects=follow_redirects,
            cookies=cookies,
        )
        self._finalizer = weakref.finalize(self, _shut_down, self._sockets)

    def request(  # type: ignore[override]
        self,
        method: str,
        url: Any,
        *,
        content: Any = None,
        data: RequestData | None = None,
        files: Any = None,
        json: Any = None,
        params: Any = None,
        headers: Any = None,
        cookies: Any = None,
        auth: Any = httpx.USE_CLIENT_DEFAULT,
        follow_redirects: Any = httpx.USE_CLIENT_DEFAULT,
        timeout: Any = httpx.USE_CLIENT_DEFAULT,
        extensions: dict[str, Any] | None = None,
    ) -> httpx.Response:
        """Send a request; see `httpx.Client.request`. `timeout` is not used."""
        if timeout is not httpx.USE_CLIENT_DEFAULT:
            warnings.warn("the test client does not use 'timeout'", DeprecationWarning, stacklevel=2)
        return super().request(
            method,
            self._merge_url(url),
            content=content,
            data=data,
            files=files,
            json=json,
            params=params,
            headers=headers,
            cookies=cookies,
            auth=auth,
            follow_redirects=follow_redirects,
            extensions=extensions,
        )

    def websocket_connect(
        self, url: str, subprotocols: Sequence[str] | None = None, **kwargs: Any
    ) -> WebSocketTestSession:
        """A WebSocket session, connected when it is entered.

        Args:
            url: The path, or a `ws:` or `wss:` URL.
            subprotocols: Offered to the application, in order of preference.
            kwargs: `headers`, `params`, `cookies` as for a request.

        Raises:
            WebSocketDisconnect: When entered: the application closed instead of accepting.
            WebSocketDenialResponse: When entered: the application answered with an HTTP response.
        """
        request = self.build_request("GET", urljoin("ws://testserver", url), **kwargs)
        offered = list(subprotocols or ())
        if not offered:
            offered = [part.strip() for part in request.headers.get("sec-websocket-protocol", "").split(",") if part]
        return WebSocketTestSession(self._slot.get, str(request.url), list(request.headers.multi_items()), offered)

    def __enter__(self) -> Self:
        self._sockets.disconnect()
        self._slot.restart()
        return self

    def __exit__(self, *_: object) -> None:
        self._sockets.close()


def _shut_down(transport: SocketTransport) -> None:
    transport.close()


def _is_asgi3(app: Any) -> bool:
    if inspect.isclass(app):
        return hasattr(app, "__await__")
    return bool(is_async_callable(app))


def _asgi2(app: Callable[..., Any]) -> Callable[..., Any]:
    async def asgi3(scope: Any, receive: Any, send: Any) -> None:
        await app(scope)(receive, send)

    return asgi3
