"""Waiting for things that happen in other processes, with a message that says what did not. Not for sleeping blindly."""

import socket
import time

# Debug builds on a busy machine with two cores are slow; a test that passes never waits this long.
PATIENCE = 90.0


def until(what, condition, patience=PATIENCE, every=0.1):
    """Calls `condition` until it gives something true, and gives that. An AssertionError of the condition means: not yet."""
    end = time.monotonic() + patience
    last = "nothing"
    while True:
        try:
            if result := condition():
                return result
            last = f"{result!r}"
        except (AssertionError, OSError) as error:
            last = f"{type(error).__name__}: {error}"
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {patience:.0f} s; last seen: {last[:2000]}")
        time.sleep(every)


def free_port():
    """A port of loopback nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def listens(port):
    """Whether somebody listens there."""
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0
