"""WebSocket sessions of the test client."""

from __future__ import annotations

import contextvars
import json
import socket
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Literal

from starlette.websockets import WebSocketDisconnect
from typing_extensions import Self
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

from bimetal.testing.served import Served
from bimetal.testing.transport import HANG_TIMEOUT

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from starlette.testclient import WebSocketDenialResponse as WebSocketDenialResponse

#: How long an application may take to end after the client has closed, before it is cancelled. In seconds.
_END_TIMEOUT = 1.0
_CANCEL_TIMEOUT = 5.0
#: Headers the handshake writes itself.
_HANDSHAKE = frozenset(
    ("connection", "upgrade", "sec-websocket-key", "sec-websocket-version", "sec-websocket-protocol")
)

Message = dict[str, Any]


class WebSocketTestSession:
    """One WebSocket connection; connects when it is entered.

    Example:
        ```python
        with client.websocket_connect("/ws") as session:
            session.send_text("hello")
            assert session.receive_text() == "hello"
        ```
    """

    def __init__(
        self,
        served: Callable[[], Served],
        uri: str,
        headers: Sequence[tuple[str, str]],
        subprotocols: Sequence[str],
    ) -> None:
        self._get_served = served
        self._uri = uri
        self._headers = headers
        self._subprotocols = subprotocols
        self._messages: deque[Message] = deque()
        self._fragments: list[bytes] = []
        self._opcode = Opcode.TEXT
        #: The subprotocol the application has chosen.
        self.accepted_subprotocol: str | None = None
        #: Headers of the application's acceptance.
        self.extra_headers: list[tuple[bytes, bytes]] | None = None

    def __enter__(self) -> Self:
        self._served = self._get_served()
        self._socket = socket.create_connection(self._served.address, timeout=HANG_TIMEOUT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._port = self._socket.getsockname()[1]
        self._served.observer.contexts[self._port] = contextvars.copy_context()
        ports = self._served.observer.secure_ports
        (ports.add if self._uri.startswith("wss:") else ports.discard)(self._port)
        try:
            self._handshake()
        except BaseException:
            self._socket.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close(1000)
        try:
            self._read_to_end()
        finally:
            self._socket.close()
        self._finish()

    def send(self, message: Message) -> None:
        """Send a `websocket.receive` or `websocket.disconnect` message, as the application would receive it."""
        if message["type"] == "websocket.disconnect":
            self._close(message.get("code", 1000), message.get("reason") or "")
        elif message["type"] == "websocket.receive":
            if self._protocol.state is not State.OPEN:
                return
            if message.get("text") is not None:
                self._protocol.send_text(message["text"].encode())
            else:
                self._protocol.send_binary(message["bytes"])
            self._flush()

    def send_text(self, data: str) -> None:
        """Send a text message."""
        self.send({"type": "websocket.receive", "text": data})

    def send_bytes(self, data: bytes) -> None:
        """Send a binary message."""
        self.send({"type": "websocket.receive", "bytes": data})

    def send_json(self, data: Any, mode: Literal["text", "binary"] = "text") -> None:
        """Send `data` as JSON, in a text or a binary message."""
        text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
        if mode == "text":
            self.send_text(text)
        else:
            self.send_bytes(text.encode())

    def close(self, code: int = 1000, reason: str | None = None) -> None:
        """Close the connection from the client's side."""
        self._close(code, reason or "")

    def receive(self) -> Message:
        """The next `websocket.send` or `websocket.close` message of the application."""
        while not self._messages:
            if not self._read():
                self._messages.append(self._close_message())
        return self._messages.popleft()

    def receive_text(self) -> str:
        """The next text message. Raises WebSocketDisconnect when the application has closed."""
        message = self.receive()
        self._raise_on_close(message)
        text: str = message["text"]
        return text

    def receive_bytes(self) -> bytes:
        """The next binary message. Raises WebSocketDisconnect when the application has closed."""
        message = self.receive()
        self._raise_on_close(message)
        data: bytes = message["bytes"]
        return data

    def receive_json(self, mode: Literal["text", "binary"] = "text") -> Any:
        """The next message as JSON. Raises WebSocketDisconnect when the application has closed."""
        return json.loads(self.receive_text() if mode == "text" else self.receive_bytes())

    def _handshake(self) -> None:
        protocol: Any = ClientProtocol(
            parse_uri(self._uri.replace("wss:", "ws:", 1)),
            subprotocols=list(self._subprotocols) or None,  # type: ignore[arg-type]
            max_size=None,
        )
        self._protocol = protocol
        request = protocol.connect()
        del request.headers["Host"]
        for name, value in self._headers:
            if name.lower() not in _HANDSHAKE:
                request.headers[name] = value
        protocol.send_request(request)
        self._flush()
        while self._response is None and self._read():
            pass
        response = self._response
        if response is not None and response.status_code == 101 and protocol.handshake_exc is None:
            self.accepted_subprotocol = protocol.subprotocol
            self.extra_headers = [
                (name.lower().encode("latin-1"), value.encode("latin-1"))
                for name, value in response.headers.raw_items()
                if name.lower() not in ("connection", "upgrade", "sec-websocket-accept", "sec-websocket-protocol")
            ]
            return
        self._refused(response, protocol.handshake_exc)

    _response: Response | None = None
    _protocol: Any = None

    def _refused(self, response: Response | None, reason: Exception | None) -> None:
        self._finish()
        refusal = self._served.observer.take_refusal(self._port)
        if refusal is not None:
            raise WebSocketDisconnect(code=refusal[0], reason=refusal[1])
        if response is None or response.status_code == 101:
            raise reason or InvalidHandshake("the server closed the connection during the WebSocket handshake")
        raise WebSocketDenialResponse(
            status_code=response.status_code,
            headers=list(response.headers.raw_items()),
            content=bytes(response.body or b""),
        )

    def _close(self, code: int, reason: str) -> None:
        if self._protocol.state is not State.OPEN:
            return
        if code == CloseCode.ABNORMAL_CLOSURE:
            # Stands for a connection that breaks without a close frame.
            self._socket.shutdown(socket.SHUT_RDWR)
            self._protocol.receive_eof()
        elif code == CloseCode.NO_STATUS_RCVD:
            self._protocol.send_close()
        else:
            self._protocol.send_close(code, reason)
        self._flush()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                try:
                    self._socket.sendall(data)
                except OSError:
                    # The server has gone; reading tells how the connection ended.
                    return
            else:
                try:
                    self._socket.shutdown(socket.SHUT_WR)
                except OSError:
                    return

    def _read(self) -> bool:
        """Take in what the server sends next; False at the end."""
        try:
            data = self._socket.recv(65536)
        except TimeoutError:
            raise TimeoutError(f"no WebSocket message within {HANG_TIMEOUT:.0f} s") from None
        except OSError:
            data = b""
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
        for event in self._protocol.events_received():
            if isinstance(event, Response):
                self._response = event
            else:
                self._frame(event)
        self._flush()
        return bool(data)

    def _read_to_end(self) -> None:
        while self._read():
            pass

    def _frame(self, frame: Frame) -> None:
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY):
            self._opcode = frame.opcode
            self._fragments = []
        elif frame.opcode is Opcode.CLOSE:
            self._messages.append(self._close_message())
            return
        elif frame.opcode is not Opcode.CONT:
            return
        self._fragments.append(bytes(frame.data))
        if frame.fin:
            data = b"".join(self._fragments)
            if self._opcode is Opcode.TEXT:
                self._messages.append({"type": "websocket.send", "text": data.decode()})
            else:
                self._messages.append({"type": "websocket.send", "bytes": data})

    def _close_message(self) -> Message:
        received = self._protocol.close_rcvd
        if received is None:
            return {"type": "websocket.close", "code": 1006, "reason": ""}
        return {"type": "websocket.close", "code": received.code, "reason": received.reason}

    def _raise_on_close(self, message: Message) -> None:
        if message["type"] == "websocket.close":
            raise WebSocketDisconnect(code=message["code"], reason=message["reason"])

    def _finish(self) -> None:
        """Wait for the application to end, as for a response, and raise what it raised."""
        if not self._served.wait_idle(self._port, _END_TIMEOUT):
            self._served.observer.cancel(self._port)
            self._served.wait_idle(self._port, _CANCEL_TIMEOUT)
        error = self._served.take_exception()
        if error is not None:
            raise error
