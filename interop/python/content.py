"""What the drivers put into databases: records, odd extensions.

Only classes that ZODB has itself, so that every program can load them.
Contents come from seeds.
"""

import datetime
import pickle
import random

from persistent.mapping import PersistentMapping
from zodbpickle import binary
from zodbpickle.pickle import dumps


def payload(size, seed):
    return random.Random(seed).randbytes(size)


def record(size, seed):
    """Return a data record like ZODB's own: a mapping with size random bytes."""
    state = {"data": {"payload": payload(size, seed)}}
    return dumps(PersistentMapping, 3) + dumps(state, 3)


def extension(kind):
    """Return extension bytes of one of the kinds that zc.zrs treats apart."""
    return EXTENSIONS[kind]


PLAIN = {"request_type": "form", "n": 7, "big": 1 << 70, "raw": binary(b"\0\xff")}
TEXT = "x" * 40

EXTENSIONS = {
    # What ZODB itself writes, which zc.zrs reproduces.
    "plain": dumps(PLAIN, 3),
    "datetime": dumps({"at": datetime.datetime(2026, 3, 4, 5, 6, 7, 89)}, 3),
    "set": dumps({"tags": {"only"}}, 3),
    # What older ZODB wrote: zc.zrs pickles it anew, with protocol 3.
    "protocol-0": pickle.dumps({"request_type": "form", "n": 7}, 0),
    "protocol-1": pickle.dumps({"request_type": "form", "n": 7}, 1),
    "protocol-2": pickle.dumps({"request_type": "form", "n": 7}, 2),
    # One object twice: zc.zrs writes it out twice.
    "shared": dumps({"first": TEXT, "second": TEXT, "both": [TEXT, TEXT]}, 3),
    # A pickled empty dict: zc.zrs makes it nothing at all.
    "empty-dict": dumps({}, 3),
    # No pickle at all: a zc.zrs primary stops there for ever.
    "garbage": b"\xde\xad\xbe\xef no pickle",
}
