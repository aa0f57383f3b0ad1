"""Chromium without a window, told what to do over its DevTools protocol."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from typing_extensions import Self
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from harness.servers import START_TIMEOUT, STOP_TIMEOUT, until

CHROMIUM = shutil.which("chromium")

#: It asks nobody but the server under test for anything.
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)


class Browser:
    """One page. What went wrong in it is in `errors`: messages of its console, exceptions, what could not be loaded."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self._number = 0
        self._exits = contextlib.ExitStack()
        self._folder = tempfile.TemporaryDirectory(prefix="bm-chromium", ignore_cleanup_errors=True)
        command = [str(CHROMIUM), *_FLAGS, f"--user-data-dir={self._folder.name}", "about:blank"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            connected = connect(self._address(), max_size=None, compression=None, open_timeout=START_TIMEOUT)
            self._socket = self._exits.enter_context(connected)
            for domain in ("Page", "Runtime", "Log", "Network"):
                self._do(f"{domain}.enable")
        except BaseException:
            self._end()
            raise

    def _address(self) -> str:
        note = Path(self._folder.name, "DevToolsActivePort")

        def there() -> bool:
            assert self._process.poll() is None, f"{CHROMIUM} ended with {self._process.returncode}"
            return note.exists() and "\n" in note.read_text()

        until(there, "Chromium listens")
        port = note.read_text().splitlines()[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=START_TIMEOUT) as reply:
            pages = [page for page in json.load(reply) if page["type"] == "page"]
        address: str = pages[0]["webSocketDebuggerUrl"]
        return address

    def open(self, url: str) -> None:
        assert "errorText" not in self._do("Page.navigate", url=url)

    def value(self, expression: str) -> Any:
        """What an expression of JavaScript gives."""
        answer = self._do("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait until it is true."""
        deadline = time.monotonic() + START_TIMEOUT
        while not self.value(f"Boolean({expression})"):
            assert time.monotonic() < deadline, (
                f"never: {expression}\n{self.errors}\n{self.value('document.body.innerText')}"
            )
            time.sleep(0.02)

    def look(self, width: int, height: int, scheme: str) -> None:
        """Be of that size, for somebody who likes it `light` or `dark`."""
        self._do(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self._do("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def screenshot(self) -> bytes:
        return base64.b64decode(self._do("Page.captureScreenshot", captureBeyondViewport=True)["data"])

    def _do(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(timeout=START_TIMEOUT))
            if message.get("id") == self._number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result
            self._note(message)

    def _note(self, message: dict[str, Any]) -> None:
        params = message.get("params", {})
        match message.get("method"):
            case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning", "assert"):
                self.errors.append(f"console: {params['args']}")
            case "Runtime.exceptionThrown":
                self.errors.append(f"exception: {params['exceptionDetails']}")
            case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
                self.errors.append(f"log: {params['entry']}")
            case "Network.loadingFailed" if not params.get("canceled"):
                self.errors.append(f"network: {params}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._do("Browser.close")
        except (ConnectionClosed, OSError):
            pass
        finally:
            self._exits.close()
            self._end()

    def _end(self) -> None:
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()
