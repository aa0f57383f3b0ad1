"""Testing applications over a real socket.

`TestClient` has the interface of Starlette's, but every request goes through a `bimetal.Server`: the lanes, the native
handlers and the limits are the ones of production. Needs `pip install bimetal[testing]`.

Example:
    ```python
    from bimetal.testing import TestClient

    def test_root():
        with TestClient(app) as client:
            assert client.get("/").json() == {"hello": "world"}
    ```

`assert_twins` compares a native handler with the Python body of its route.

What differs from Starlette's client, because there is a real connection:

- `request.client` is the connection's address; the `client` argument is accepted and not used.
- Exceptions that leave the application are raised after the response has been read.
- One event loop serves all requests of a client.
- Context variables that a test has set are seen in its WebSocket sessions, but not by the handlers of its requests.
- A test that takes longer than two minutes for one response fails.
"""

from __future__ import annotations

try:
    import starlette.testclient  # noqa: F401  (needs httpx2 or httpx)
    import websockets  # noqa: F401
except (ImportError, RuntimeError) as error:
    raise ImportError("bimetal.testing needs httpx and websockets: pip install 'bimetal[testing]'") from error

from bimetal.testing.client import TestClient
from bimetal.testing.twins import TwinCase, assert_twins
from bimetal.testing.websocket import WebSocketDenialResponse, WebSocketTestSession

__all__ = ["TestClient", "TwinCase", "WebSocketDenialResponse", "WebSocketTestSession", "assert_twins"]
