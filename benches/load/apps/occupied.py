"""What keeps Python from other work, for so many seconds: the handlers of the isolation experiment."""

import ctypes
import os
import time


def started():
    """Tells the experiment, through a file, that one more is at work."""
    with open(os.environ["LOAD_STARTED"], "ab") as file:
        file.write(b".")


def compute(seconds: float):
    """Pure Python: the interpreter is asked for by others, and changes hands every few milliseconds."""
    started()
    end = time.monotonic() + seconds
    number = 0
    while time.monotonic() < end:
        number += sum(range(100))
    return {"computed": number}


async def compute_on_the_loop(seconds: float):
    """The same on the event loop, which stands still meanwhile."""
    return compute(seconds)


def hold(seconds: float):
    """A C extension that does not let go of the interpreter."""
    started()
    ctypes.PyDLL(None).usleep(int(seconds * 1e6))
    return {"held": seconds}


def block(seconds: float):
    """Waits without the interpreter, as for a database that does not answer."""
    started()
    time.sleep(seconds)
    return {"blocked": seconds}


ROUTES = {"/compute": compute, "/a/compute": compute_on_the_loop, "/hold": hold, "/block": block}
