"""What a server says to a request of the corpora and to the one that follows it on the same connection."""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass

from corpora import Case
from harness.wire import Connection, Reply

#: What follows each case. If a server answers it where it should not, the case has hidden a request from whoever is in
#: front of that server.
FOLLOWER = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"

#: For a server that neither answers nor closes, in seconds: ours always does one of them.
PATIENCE = 30.0


@dataclass
class Dialogue:
    """The replies until the connection ended, or until the follower was answered."""

    replies: list[Reply]
    #: The server waits for more than there is.
    waits: bool = False

    @property
    def statuses(self) -> list[int]:
        return [reply.status for reply in self.replies]

    @property
    def first_is_taken(self) -> bool:
        return bool(self.replies) and (self.replies[0].status < 400 or self.replies[0].status in (404, 405))

    def __str__(self) -> str:
        said = " ".join(map(str, self.statuses)) or "no answer"
        return f"{said}{', waits' if self.waits else ''}"


def hold(port: int, case: Case, patience: float = PATIENCE) -> Dialogue:
    dialogue = Dialogue([])
    method = case.raw.lstrip(b"\r\n").split(b" ", 1)[0].decode("latin-1")
    with Connection(port, timeout=patience) as connection:
        # Whoever refuses the case may have closed before all of it was sent.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.send(case.raw + FOLLOWER)
        try:
            if case.right == "cut":
                connection.socket.shutdown(socket.SHUT_WR)
            while len(dialogue.replies) < 2:
                dialogue.replies.append(reply := connection.read_reply("GET" if dialogue.replies else method))
                if reply.header("connection") == "close":
                    connection.socket.shutdown(socket.SHUT_WR)
        except TimeoutError:
            dialogue.waits = True
        except (ConnectionError, OSError, ValueError):
            pass
    return dialogue
