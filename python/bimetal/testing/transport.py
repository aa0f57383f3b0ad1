"""httpx transport that sends every request to one server, whatever host and scheme its URL names."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

from bimetal.testing.http import httpcore, httpx
from bimetal.testing.served import Served, ServerSlot

#: A bound for hangs: how long a response, and what the application does after it, may take. In seconds.
HANG_TIMEOUT = 120.0
#: How long an application may take to notice that the client has left in the middle of a response.
_LEAVE_TIMEOUT = 5.0


class SocketTransport(httpx.BaseTransport):
    """Sends requests to the server of a slot, and raises what left the application while it answered."""

    def __init__(self, slot: ServerSlot, raise_server_exceptions: bool) -> None:
        self._slot = slot
        self._raise_server_exceptions = raise_server_exceptions
        self._served: Served | None = None
        self._pool: Any = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; the response's body is read when its stream is."""
        served = self._slot.get()
        url = request.url
        secure = url.scheme in ("https", "wss")
        extensions = {
            **request.extensions,
            "timeout": dict.fromkeys(("connect", "read", "write", "pool"), HANG_TIMEOUT),
        }
        outgoing = httpcore.Request(
            method=request.method,
            # Plain HTTP always; the port tells the connections of https URLs apart.
            url=httpcore.URL(
                scheme=b"http", host=url.raw_host, port=url.port or (443 if secure else 80), target=url.raw_path
            ),
            headers=request.headers.raw,
            content=request.stream,
            extensions=extensions,
        )
        pool = self._pool_for(served)
        with _Mapped():
            incoming = pool.handle_request(outgoing)
        connection = incoming.extensions["network_stream"]
        stream = _ResponseStream(incoming.stream, served, connection, self._raise_server_exceptions)
        debug = served.observer.take_debug(stream.port)
        headers = incoming.headers
        policy = served.server.edge.transport_security
        if secure and policy and all(name.lower() != b"strict-transport-security" for name, _ in headers):
            # The server cannot know what the connection stands for.
            headers = [*headers, (b"strict-transport-security", policy.encode())]
        response = httpx.Response(
            status_code=incoming.status, headers=headers, stream=stream, extensions=incoming.extensions
        )
        if debug is not None:
            response.extensions["http.response.debug"] = debug
            for name in ("template", "context"):
                if name in debug:
                    setattr(response, name, debug[name])
        return response

    def disconnect(self) -> None:
        """Close every connection."""
        pool, self._pool, self._served = self._pool, None, None
        if pool is not None:
            pool.close()

    def close(self) -> None:
        """Close every connection and stop the server."""
        self.disconnect()
        self._slot.stop()

    def _pool_for(self, served: Served) -> Any:
        if self._served is not served:
            self.disconnect()
            self._served = served
            self._pool = httpcore.ConnectionPool(max_connections=None, network_backend=_Backend(served))
        return self._pool


class _ResponseStream(httpx.SyncByteStream):
    """A response's body; at its end, waits for the application and raises what it raised."""

    def __init__(self, body: Any, served: Served, connection: Any, raise_exceptions: bool) -> None:
        self.port: int = connection.get_extra_info("client_addr")[1]
        self._body = body
        self._served = served
        self._connection = connection
        self._raise_exceptions = raise_exceptions
        self._complete = False
        self._finished = False
        self._failed = False

    def __iter__(self) -> Iterator[bytes]:
        try:
            with _Mapped():
                yield from self._body
        except httpx.TransportError:
            # The application may have failed in the middle of its response. A test sees the failure where it wants to,
            # and the part that was sent where it does not.
            self.close()
            if not self._failed:
                raise
        self._complete = True

    def close(self) -> None:
        """Give the connection back."""
        if self._finished:
            return
        self._finished = True
        self._body.close()
        idle = self._served.wait_idle(self.port, HANG_TIMEOUT if self._complete else _LEAVE_TIMEOUT)
        error = self._served.take_exception()
        if error is not None:
            self._failed = True
            # A server may close the connection after an exception: a next request must not run into that.
            self._connection.close()
            if self._raise_exceptions:
                raise error
        if self._complete and not idle:
            raise TimeoutError(
                f"the application was still busy with the request {HANG_TIMEOUT:.0f} s after its response"
            )


class _Backend(httpcore.NetworkBackend):  # type: ignore[misc]
    """Connects to the server, whatever is asked for."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._backend = httpcore.SyncBackend()

    def connect_tcp(self, host: str, port: int, **options: Any) -> Any:
        address, own_port = self._served.address
        stream = self._backend.connect_tcp(address, own_port, **options)
        stream.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client_port = stream.get_extra_info("client_addr")[1]
        if port == 443:
            self._served.observer.secure_ports.add(client_port)
        else:
            self._served.observer.secure_ports.discard(client_port)
        return stream


class _Mapped:
    """Turns httpcore's exceptions into httpx's, which have the same names."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is None or type(error).__module__.partition(".")[0] != httpcore.__name__:
            return
        mapped = getattr(httpx, type(error).__name__, None)
        if mapped is not None:
            raise mapped(str(error)) from error
