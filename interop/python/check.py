"""Open a FileStorage read-write with the real ZODB and report what it thinks.

usage: check.py [--blob-dir DIR] [--copy | --iterate] PATH

Runs in both environments. Prints one JSON object:

    index       what the open made of the saved index: used, ignored, none
    size, last_tid, objects, transactions
    digest      over the contents of all transactions, as the iterator has them
    digests     of every transaction: TID, digest of everything in it, its
                extension, digest of its records
    current     OID to a digest of the current revision: its TID, data, blob
    gone        OIDs without a current revision: undone creations, deleted objects
    dangling    references of current records that lead nowhere: OID, referrer
    blobs       number of revisions that are blobs
    no_file     those without a file: OID, TID
    warnings    what ZODB logged while it opened the file and read it
    new_files   what the open left beside the data file, such as Data.fs.tr0

With --copy a copy is opened, and the original stays as it is. With --iterate the
storage is not opened at all, only iterated over: a process may have it open. The
report has what comes of that: transactions, digest, digests, blobs, no_file.
"""

import argparse
import hashlib
import json
import logging
import os
import shutil
import struct
import tempfile

from ZODB.blob import FilesystemHelper, is_blob_record
from ZODB.FileStorage import FileIterator, FileStorage
from ZODB.POSException import POSKeyError
from ZODB.serialize import referencesf
from ZODB.utils import load_current, p64

import driver

OWN = {".index", ".lock", ".tmp"}


class Warnings(logging.Handler):
    """Collects messages of level warning and above, about contents."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.messages = []

    def emit(self, record):
        if "layout is deprecated" not in record.getMessage():
            self.messages.append(record.getMessage())


def check(path, blob_dir):
    warnings = Warnings()
    logging.getLogger().addHandler(warnings)
    before = beside(path)
    storage = FileStorage(path, blob_dir=blob_dir)
    report = {
        "index": index_use(storage, ".index" in before),
        "size": storage._pos,
        "last_tid": driver.hexid(storage.lastTransaction()),
        "objects": len(storage),
    }
    report.update(iterate(path, blob_dir))
    report.update(read_objects(storage, blob_dir))
    storage.close()
    report["warnings"] = warnings.messages
    report["new_files"] = sorted(beside(path) - before - OWN)
    return report


def beside(path):
    """Return the endings of the files that are named for the data file."""
    folder, name = os.path.split(os.path.abspath(path))
    return {f[len(name) :] for f in os.listdir(folder) if f.startswith(name + ".")}


def index_use(storage, existed):
    if storage._used_index:
        return "used"
    return "ignored" if existed else "none"


def iterate(path, blob_dir):
    """Digest every transaction and look for the file of every blob revision."""
    digests, no_file, blobs = [], [], 0
    with open(path, "rb") as raw:
        for txn in FileIterator(path):
            records = hashlib.sha256()
            for record in txn:
                feed(records, record.oid, record.tid, record.data, record.data_txn)
                if blob_dir and is_blob_record(record.data):
                    blobs += 1
                    try:
                        feed(records, read_blob(blob_dir, record.oid, record.tid))
                    except FileNotFoundError:
                        no_file.append([driver.hexid(record.oid), driver.hexid(record.tid)])
            extension = extension_bytes(raw, txn._tpos)
            whole = records.copy()
            feed(whole, txn.tid, txn.status.encode(), txn.user, txn.description, extension)
            digests.append(
                {
                    "tid": driver.hexid(txn.tid),
                    "digest": whole.hexdigest(),
                    "extension": extension.hex(),
                    "records": records.hexdigest(),
                }
            )
    return {
        "transactions": len(digests),
        "digest": hashlib.sha256(repr(digests).encode()).hexdigest(),
        "digests": digests,
        "blobs": blobs,
        "no_file": no_file,
    }


def read_blob(blob_dir, oid, tid):
    with open(FilesystemHelper(blob_dir).getBlobFilename(oid, tid), "rb") as f:
        return f.read()


def feed(digest, *values):
    for value in values:
        digest.update(b"-" if value is None else p64(len(value)) + value)


def extension_bytes(raw, pos):
    """Read an extension as it is on disk; ZODB before 5.6 would unpickle it."""
    raw.seek(pos + 17)
    user, description, extension = struct.unpack(">HHH", raw.read(6))
    raw.seek(user + description, os.SEEK_CUR)
    return raw.read(extension)


def read_objects(storage, blob_dir):
    """Load every object and look where its references lead."""
    current, gone, references = {}, set(), {}
    for oid in storage._index:
        try:
            data, tid = load_current(storage, oid)
        except POSKeyError:
            gone.add(oid)
            continue
        digest = hashlib.sha256()
        feed(digest, tid, data)
        if blob_dir and is_blob_record(data):
            try:
                feed(digest, read_blob(blob_dir, oid, tid))
            except FileNotFoundError:
                pass  # reported in no_file
        current[driver.hexid(oid)] = digest.hexdigest()
        for ref in referencesf(data):
            references.setdefault(ref, oid)
    dangling = [
        [driver.hexid(ref), driver.hexid(oid)]
        for ref, oid in sorted(references.items())
        if driver.hexid(ref) not in current
    ]
    return {
        "current": current,
        "gone": sorted(map(driver.hexid, gone)),
        "dangling": dangling,
    }


def copied(path, blob_dir, folder):
    """Copy the data file, its index and its blobs."""
    copy = os.path.join(folder, os.path.basename(path))
    shutil.copyfile(path, copy)
    if os.path.exists(path + ".index"):
        shutil.copyfile(path + ".index", copy + ".index")
    if blob_dir:
        blob_copy = os.path.join(folder, "blobs")
        shutil.copytree(blob_dir, blob_copy)
        blob_dir = blob_copy
    return copy, blob_dir


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--blob-dir")
    parser.add_argument("--copy", action="store_true")
    parser.add_argument("--iterate", action="store_true")
    parser.add_argument("path")
    args = parser.parse_args()
    out = driver.answers()
    driver.logs(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        path, blob_dir = args.path, args.blob_dir
        if args.copy:
            path, blob_dir = copied(path, blob_dir, folder)
        report = iterate if args.iterate else check
        out.write(json.dumps(report(path, blob_dir)) + "\n")


main()
