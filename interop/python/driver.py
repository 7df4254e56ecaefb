"""What the driver programs share: the conversation with the Go tests.

A driver is a process that reads one command a line on standard input and
answers with one line on standard output, both JSON:

    {"do": "commit", "count": 3}
    {"ok": true, "tids": ["040d2d74876e4c33", ...]}
    {"ok": false, "error": "POSKeyError: 0x01", "traceback": "..."}

Its first line, without a command, says that it is ready. It ends when its
standard input does. Logs go to standard error. TIDs and OIDs are 16 hex digits,
bytes are base64.
"""

import base64
import faulthandler
import json
import logging
import os
import signal
import sys
import time
import traceback

z64 = b"\0" * 8


def logs(level=logging.INFO):
    """Send the log to standard error, warnings of Python included.

    SIGUSR1 adds what every thread is doing.
    """
    faulthandler.register(signal.SIGUSR1)
    logging.captureWarnings(True)
    logging.basicConfig(
        stream=sys.stderr,
        level=level,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )


def answers():
    """Return the stream for answers, and keep everything else off it."""
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return out


def serve(target, out, **ready):
    """Let target's do_NAME methods answer commands until the input ends.

    A method gets the command's other keys as keyword arguments and returns
    None or a dict.
    """
    answer(out, ok=True, ready=True, pid=os.getpid(), **ready)
    for line in sys.stdin:
        command = json.loads(line)
        try:
            method = getattr(target, "do_" + command.pop("do"))
            result = method(**command) or {}
        except Exception as e:
            traceback.print_exc()
            answer(
                out,
                ok=False,
                error=f"{type(e).__name__}: {e}",
                traceback=traceback.format_exc(),
            )
        else:
            answer(out, ok=True, **result)
    # Not sys.exit: Twisted's thread, or a storage that a zc.zrs secondary
    # holds locked for ever, would keep the process alive.
    logging.shutdown()
    os._exit(0)


def answer(out, **fields):
    out.write(json.dumps(fields) + "\n")
    out.flush()


def hexid(raw):
    """Write a TID or OID as everywhere in zrs."""
    return (raw or z64).hex()


def rawid(text):
    return bytes.fromhex(text)


def rawbytes(text):
    return base64.b64decode(text) if text else b""


def address(text):
    """Parse HOST:PORT."""
    host, _, port = text.rpartition(":")
    return host, int(port)


def poll(condition, timeout, interval=0.002):
    """Wait until condition() is true; return its value, or None in time."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            return None
        time.sleep(interval)


def listening(primary, timeout=10):
    """Return HOST:PORT where a zc.zrs Primary listens.

    The reactor binds later, and if it cannot it only logs that.
    """
    listener = poll(lambda: primary._listener, timeout)
    if listener is None:
        raise OSError(f"zc.zrs does not listen on {primary._addr}")
    host = listener.getHost()
    return f"{host.host}:{host.port}"
