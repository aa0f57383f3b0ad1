"""The layers inside a middleware's `dispatch`, run by its `call_next` in the same task, in a context of their own."""

from __future__ import annotations

import asyncio
import types
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Generator
from contextvars import copy_context
from typing import Any

from starlette.middleware.base import _StreamingResponse
from starlette.types import Message

#: Yielded by the inner coroutine: its response is there, and it pauses until that was sent.
_PAUSE: Any = object()


class Passed(_StreamingResponse):
    """What `call_next` returns: a response that is there as a whole, or whose body follows as it is read.

    For the middleware it is what Starlette gives; its body can be sent at once as long as nobody asks for its iterator.
    """

    def __init__(self, inner: Inner, status_code: int, raw_headers: Any, whole: bytes | None, info: Any = None) -> None:
        self.status_code = status_code
        self.raw_headers = raw_headers
        self.media_type = None
        self.background = None
        self.info = info
        #: The body, where all of it is there and the iterator was not asked for.
        self.whole = whole
        self._inner = inner
        self._iterator: Any = None

    @property
    def body_iterator(self) -> Any:
        """The chunks of the body."""
        if self._iterator is None:
            self._iterator = _once(self.whole) if self.whole is not None else self._inner.chunks()
            self.whole = None
        return self._iterator

    @body_iterator.setter
    def body_iterator(self, iterator: Any) -> None:
        self._iterator = iterator
        self.whole = None


class Inner:
    """Runs a coroutine until it has a response, and later to its end, for the coroutine that awaits it.

    Both are one task of the event loop. What the inner coroutine sets in its context stays there, as in the task that
    Starlette would give it.
    """

    def __init__(self) -> None:
        self._context = copy_context()
        self._coroutine: Any = None
        #: Messages of a response that is sent in parts, each with what its sender waits for.
        self._messages: deque[tuple[Message, asyncio.Future[None] | None]] = deque()
        #: Whether the outer coroutine waits for a message.
        self._receiving = False
        #: Whether there are such messages: they may come from another task while the coroutine waits for something.
        self._in_parts = False
        #: What the coroutine waits for then.
        self._future: Any = None
        self._waker: asyncio.Future[None] | None = None
        #: What the sender of the last part waits for: that the outer response has been sent.
        self._last: asyncio.Future[None] | None = None
        self._response: Passed | None = None
        self._error: BaseException | None = None
        self.ended = False
        #: Whether the response of the outer layer has been sent: what comes now is for nobody.
        self.sent = False

    def start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Take the coroutine to run."""
        self._coroutine = coroutine

    async def until_response(self) -> Passed:
        """Run until there is a response. Raises what the coroutine raises before."""
        info = None
        while True:
            await self._receive()
            if self._response is not None:
                return self._response
            if not self._messages:
                break
            message = self._take()
            if message["type"] != "http.response.debug":
                assert message["type"] == "http.response.start"
                return Passed(self, message["status"], message.get("headers", []), None, info)
            info = message["info"]
        error, self._error = self._error, None
        if error is None:
            raise RuntimeError("No response returned.")
        if isinstance(error, Exception):
            raise error from error.__cause__ or error.__context__
        raise error

    async def chunks(self) -> AsyncIterator[Any]:
        """The body of a response that is sent in parts."""
        while True:
            await self._receive()
            if not self._messages:
                return
            message = self._take()
            if message["type"] == "http.response.pathsend":
                yield message
                return
            assert message["type"] == "http.response.body", f"Unexpected message: {message}"
            if body := message.get("body", b""):
                yield body
            if not message.get("more_body", False):
                return

    async def to_end(self) -> None:
        """Run to the end, now that the outer response was sent. Raises what the coroutine raises."""
        await self._finish(None)
        error, self._error = self._error, None
        if error is not None:
            raise error

    async def cancel(self) -> None:
        """End the coroutine: its response will not be sent."""
        if not self.ended:
            await self._finish(asyncio.CancelledError())

    @types.coroutine
    def hand_over(self, status_code: int, raw_headers: Any, body: bytes) -> Generator[Any, None, None]:
        """For the coroutine: give a whole response to the outer layer, and wait until that has sent its own."""
        if not self.sent:
            self._response = Passed(self, status_code, raw_headers, body)
            yield _PAUSE

    def expect_parts(self) -> None:
        """For the coroutine: its response will come by `send`, perhaps from another task."""
        self._in_parts = True

    async def send(self, message: Message) -> None:
        """ASGI's `send`, for the coroutine and tasks of its own: waits until the message was taken."""
        if self.sent:
            return
        loop = asyncio.get_running_loop()
        if self._receiving and not self._messages:
            # As through AnyIO's stream without a buffer: one message goes to whoever waits for it, without a wait.
            self._receiving = False
            self._in_parts = True
            self._messages.append((message, None))
            self._wake()
        else:
            taken = loop.create_future()
            self._in_parts = True
            self._messages.append((message, taken))
            self._wake()
            await taken
        kind = message["type"]
        if kind == "http.response.pathsend" or (kind == "http.response.body" and not message.get("more_body")):
            self._last = loop.create_future()
            if not self.sent:
                await self._last

    def _take(self) -> Message:
        message, taken = self._messages.popleft()
        if taken is not None and not taken.done():
            taken.set_result(None)
        return message

    def _wake(self, _: Any = None) -> None:
        if self._waker is not None and not self._waker.done():
            self._waker.set_result(None)

    async def _receive(self) -> None:
        self._receiving = True
        await self._advance()
        self._receiving = False

    async def _finish(self, error: BaseException | None) -> None:
        self.sent = True
        if self._last is not None and not self._last.done():
            self._last.set_result(None)
        while not self.ended:
            while self._messages:
                self._take()
            await self._advance(error)
            error = None

    @types.coroutine
    def _advance(self, error: BaseException | None = None) -> Generator[Any, None, None]:
        """Step until something is there for the outer coroutine: a response, a message, the end."""
        while not self.ended and (error is not None or not self._messages):
            future = self._future
            if future is not None and not future.done():
                try:
                    if error is not None:
                        raise error
                    yield from self._either(future)
                except asyncio.CancelledError as cancelled:
                    # As a task does it: what it waits for is cancelled, which then ends the wait.
                    error = None if future.cancel(*cancelled.args) else cancelled
                    if error is None:
                        continue
                except BaseException as raised:
                    error = raised
                else:
                    continue
            self._future = None
            yielded = self._step(error)
            error = None
            if yielded is _PAUSE or self.ended:
                return
            if yielded is not None and self._in_parts:
                # Taken over from the task, which would wait for nothing else.
                yielded._asyncio_future_blocking = False
                self._future = yielded
                continue
            try:
                yield yielded
            except BaseException as raised:
                error = raised

    def _either(self, future: Any) -> Generator[Any, None, None]:
        """Wait for the future, or for a message."""
        self._waker = waker = asyncio.get_running_loop().create_future()
        future.add_done_callback(self._wake)
        try:
            yield from waker
        finally:
            self._waker = None
            future.remove_done_callback(self._wake)

    def _step(self, error: BaseException | None) -> Any:
        try:
            if error is None:
                return self._context.run(self._coroutine.send, None)
            return self._context.run(self._coroutine.throw, error)
        except StopIteration:
            pass
        except BaseException as raised:
            self._error = raised
        self.ended = True
        return None


async def _once(body: bytes | None) -> AsyncIterator[bytes]:
    if body:
        yield body
