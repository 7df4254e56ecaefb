"""Compute the digests of a data file as docs/format.md defines them.

usage: digests.py [--blob-dir DIR] PATH

With nothing of zrs: this is how anybody could do it. Prints a line of JSON.
"""

import argparse
import hashlib
import io
import json
import pickle
import struct

from ZODB.blob import is_blob_record
from ZODB.FileStorage import FileIterator, FileStorage
from zodbpickle import pickle as zodbpickle


def h(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def u32(n):
    return struct.pack(">I", n)


def total(digests):
    n = sum(int.from_bytes(d, "big") for d in digests) % (1 << 256)
    return n.to_bytes(32, "big")


def canonical(extension):
    """Return the extension as a zc.zrs secondary stores it."""
    try:
        value = pickle.loads(extension)
    except Exception:
        return extension
    if not isinstance(value, dict):
        return extension
    sent = io.BytesIO()
    pickler = pickle.Pickler(sent, 1)
    pickler.fast = True  # no object is shared then
    pickler.dump(value)
    value = pickle.loads(sent.getvalue())
    return zodbpickle.dumps(value, 3) if value else b""


def digests(path, blob_dir):
    storage = FileStorage(path, blob_dir=blob_dir, read_only=True)
    history, current = bytes(32), {}
    for txn in FileIterator(path):
        records = [(r.oid, r.tid, r.data) for r in txn]
        last = {oid: n for n, (oid, _, _) in enumerate(records)}
        found = []
        for n, (oid, tid, data) in enumerate(records):
            kind, content = 0, b""
            if data is not None:
                kind, content = 1, h(data)
            if data is not None and blob_dir and is_blob_record(data):
                try:
                    with open(storage.loadBlob(oid, tid), "rb") as f:
                        kind, content = 2, content + h(f.read())
                except KeyError:
                    kind = 3
            superseded = 0 if last[oid] == n else 0x80
            found.append(h(oid, tid, bytes([kind | superseded]), content))
            current.pop(oid, None)
            if kind:
                current[oid] = h(oid, tid, bytes([kind]), content)
        extension = getattr(txn, "extension_bytes", b"")
        texts = [txn.user, txn.description, canonical(extension) if extension else b""]
        header = h(txn.tid, *[part for text in texts for part in (u32(len(text)), text)])
        history = h(history, h(header, struct.pack(">Q", len(records)), total(found)))
    storage.close()
    return dict(history=history.hex(), state=total(current.values()).hex(), objects=len(current))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--blob-dir")
    parser.add_argument("path")
    args = parser.parse_args()
    print(json.dumps(digests(args.path, args.blob_dir)))


main()
