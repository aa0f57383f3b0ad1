"""The layers inside a middleware's `dispatch`, run by its `call_next` as a task of their own.

A task, because that is what Starlette gives them: what they set in their context stays there, and a `dispatch` that
gives up waiting does not stop them. It is a bare one, without task group and streams around it.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from typing import TYPE_CHECKING, Any

from starlette.middleware.base import _StreamingResponse
from starlette.types import Message

if TYPE_CHECKING:
    from bimetal._core import RouteCall

#: From Python 3.12 on a task can take its first step at once.
_EAGER: dict[str, Any] = {"eager_start": True} if sys.version_info >= (3, 12) else {}


class Passed(_StreamingResponse):
    """What `call_next` returns: a response that is there as a whole, or whose body follows as it is read.

    For the middleware it is what Starlette gives; its body can be sent at once as long as nobody asks for its iterator.
    """

    def __init__(self, inner: Inner, status_code: int, raw_headers: Any, whole: Any, info: Any = None) -> None:
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
            self._iterator = self._inner.chunks() if self.whole is None else self._inner.once(self.whole)
            self.whole = None
        return self._iterator

    @body_iterator.setter
    def body_iterator(self, iterator: Any) -> None:
        self._iterator = iterator
        self.whole = None


class Inner:
    """Runs the inner layers until they have a response, and later to their end."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        #: The same before there is a task: on a runner.
        self._coroutine: Coroutine[Any, Any, None] | None = None
        self._thread: Any = None
        self._ended = False
        self._failure: BaseException | None = None
        self._response: Passed | None = None
        #: Messages of a response that is sent in parts, each with what its sender waits for.
        self._messages: deque[tuple[Message, asyncio.Future[None] | None]] = deque()
        #: What the outer layer waits for: a response, a message, the end.
        self._news: asyncio.Future[None] | None = None
        #: What the inner layers wait for at the end of their response: that the outer one has been sent.
        self._release: asyncio.Future[None] | None = None
        #: Whether the response of the outer layer has been sent: what comes now is for nobody.
        self.sent = False
        #: Whether the outer layer has read the body to its end.
        self.is_read = False
        self._raised = False

    def start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run the coroutine."""
        self._task = asyncio.Task(coroutine, loop=self._loop, **_EAGER)

    def start_on_runner(self, call: RouteCall, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run the coroutine on a runner, until it ends or needs the event loop."""
        self._coroutine = coroutine
        self._thread = call.in_thread(_first_step, {"coroutine": coroutine})

    async def until_response(self) -> Passed:
        """Wait until there is a response. Raises what the layers raise before."""
        if self._thread is not None:
            await self._leave_runner()
        info = None
        while True:
            if self._response is None:
                await self._wait()
            if self._response is not None:
                # Not kept: the response knows this object, and a cycle of the two would be left to the collector.
                response, self._response = self._response, None
                return response
            if not self._messages:
                break
            message = self._take()
            if message["type"] != "http.response.debug":
                assert message["type"] == "http.response.start"
                return Passed(self, message["status"], message.get("headers", []), None, info)
            info = message["info"]
        error = self._error()
        if error is None:
            raise RuntimeError("No response returned.")
        self._raised = True
        raise error from error.__cause__ or error.__context__

    @property
    def is_over(self) -> bool:
        """Whether nothing of the layers is left to run."""
        return self._ended or (self._task is not None and self._task.done())

    async def once(self, body: Any) -> AsyncIterator[Any]:
        """The body of a response that is there as a whole."""
        if body:
            yield body
        self.is_read = True

    async def chunks(self) -> AsyncIterator[Any]:
        """The body of a response that is sent in parts."""
        while True:
            await self._wait()
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
                self.is_read = True
                return

    async def to_end(self) -> None:
        """Wait for the end, now that the outer response was sent. Raises what the layers raise, unless they have."""
        self._let_go()
        if self._thread is not None:
            await self._leave_runner()
        task = self._task
        if task is not None and not task.done():
            try:
                await asyncio.wait({task})
            except asyncio.CancelledError:
                await self.cancel()
                raise
        error = self._error()
        if error is not None and not self._raised:
            raise error

    async def cancel(self) -> None:
        """End the layers: their response will not be sent."""
        self.sent = True
        if self._thread is not None:
            await self._leave_runner()
        task = self._task
        if task is not None:
            task.cancel()
            while not task.done():
                await asyncio.wait({task})
        # Whatever it is, it comes of the cancellation, or has been raised.
        self._error()

    def give(self, status_code: int, raw_headers: Any, body: Any) -> None:
        """For the inner layers: hand a whole response to the outer one."""
        self._response = Passed(self, status_code, raw_headers, body)
        self._tell()

    async def until_sent(self) -> None:
        """For the inner layers: wait until the outer response was sent."""
        if not self.sent:
            self._release = self._loop.create_future()
            await self._release

    async def send(self, message: Message) -> None:
        """ASGI's `send`, for the inner layers: waits until the message was taken, at the end until all is sent."""
        if self.sent:
            return
        if self._news is not None and not self._messages:
            # As through AnyIO's stream without a buffer: a message goes to whoever waits for it, without a wait.
            self._messages.append((message, None))
            self._tell()
        else:
            taken = self._loop.create_future()
            self._messages.append((message, taken))
            self._tell()
            await taken
        kind = message["type"]
        if kind == "http.response.pathsend" or (kind == "http.response.body" and not message.get("more_body")):
            await self.until_sent()

    def _take(self) -> Message:
        message, taken = self._messages.popleft()
        if taken is not None and not taken.done():
            taken.set_result(None)
        return message

    async def _leave_runner(self) -> None:
        """Wait until what was started on a runner has ended, or goes on here."""
        goes_on, self._failure = await self._thread.wait()
        coroutine, self._thread, self._coroutine = self._coroutine, None, None
        if goes_on:
            assert coroutine is not None
            self.start(coroutine)
        else:
            self._ended = True

    async def _wait(self) -> None:
        task = self._task
        if self._messages or self._response is not None or task is None or task.done():
            return
        self._news = self._loop.create_future()
        task.add_done_callback(self._tell)
        try:
            await self._news
        finally:
            self._news = None
            task.remove_done_callback(self._tell)

    def _tell(self, _: Any = None) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    def _let_go(self) -> None:
        self.sent = True
        if self._release is not None and not self._release.done():
            self._release.set_result(None)
        while self._messages:
            self._take()

    def _error(self) -> BaseException | None:
        if self._task is None:
            return self._failure
        return None if self._task.cancelled() else self._task.exception()


def _first_step(coroutine: Coroutine[Any, Any, None]) -> tuple[bool, BaseException | None]:
    """Whether the coroutine has to go on on the event loop, and with what it has failed if not."""
    try:
        coroutine.send(None)
    except StopIteration:
        return False, None
    except BaseException as error:
        return False, error
    return True, None
