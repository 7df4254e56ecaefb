"""Tell what the real ZODB says of a FileStorage's history.

usage: history.py PATH

Opens it read-only and prints one JSON object:

    last_tid, size, objects
    transactions  list of tid, user and description (base64), status, changes:
                  OID, class and bytes of each record, the class null and bytes -1
                  for an object that is gone
    history       OID to the TIDs of its revisions, the newest first, as the
                  storage's own history method has them
"""

import base64
import json
import sys

from ZODB.FileStorage import FileStorage
from ZODB.POSException import POSKeyError
from ZODB.utils import get_pickle_metadata

import driver


def change(record):
    if record.data is None:
        return {"oid": driver.hexid(record.oid), "class": None, "bytes": -1}
    return {
        "oid": driver.hexid(record.oid),
        "class": ".".join(get_pickle_metadata(record.data)),
        "bytes": len(record.data),
    }


def history(storage, oid):
    try:
        return [driver.hexid(d["tid"]) for d in storage.history(oid, size=10**6)]
    except POSKeyError:
        return None  # it is gone now: ZODB doesn't tell what it was


def main():
    storage = FileStorage(sys.argv[1], read_only=True)
    transactions = [
        {
            "tid": driver.hexid(txn.tid),
            "user": base64.b64encode(txn.user).decode(),
            "description": base64.b64encode(txn.description).decode(),
            "status": txn.status,
            "changes": [change(record) for record in txn],
        }
        for txn in storage.iterator()
    ]
    oids = {c["oid"] for txn in transactions for c in txn["changes"]}
    report = {
        "last_tid": driver.hexid(storage.lastTransaction()),
        "size": storage.getSize(),
        "objects": len(storage),
        "transactions": transactions,
        "history": {oid: history(storage, driver.rawid(oid)) for oid in sorted(oids)},
    }
    print(json.dumps(report))


main()
