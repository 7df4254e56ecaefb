"""Tell what ZODB makes of data files that may be damaged.

usage: planted.py DIR

For each DIR/*.fs, a copy is opened read-write without an index and every object
is loaded; fstest looks at the file itself. Prints one JSON object: file name to

    error       what the open failed with, or null
    warnings    what it logged
    size        of the file afterwards: ZODB cuts off what it takes for a torn tail
    objects     number of objects in its index
    failed      OIDs that could not be loaded, but for those that do not exist
    fstest      what fstest found wrong, or null
"""

import argparse
import glob
import json
import logging
import os
import shutil
import tempfile

from ZODB.FileStorage import FileStorage
from ZODB.POSException import POSKeyError
from ZODB.scripts import fstest
from ZODB.utils import load_current

import driver


class Messages(logging.Handler):
    """Collects messages of level warning and above."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.messages = []

    def emit(self, record):
        self.messages.append(record.getMessage())


def judge(path, folder, log):
    log.messages = []
    report = {"error": None, "objects": 0, "failed": [], "fstest": None}
    copy = os.path.join(folder, "Data.fs")
    shutil.copyfile(path, copy)
    try:
        storage = FileStorage(copy)
    except Exception as e:
        report["error"] = f"{type(e).__name__}: {e}"
    else:
        for oid in storage._index:
            try:
                load_current(storage, oid)
            except POSKeyError:
                pass
            except Exception:
                report["failed"].append(driver.hexid(oid))
        report["objects"] = len(storage)
        storage.close()
    report["size"] = os.path.getsize(copy)
    report["warnings"] = log.messages
    for left in glob.glob(copy + "*"):
        os.unlink(left)
    try:
        fstest.check(path)
    except Exception as e:
        report["fstest"] = f"{type(e).__name__}: {e}"
    return report


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("dir")
    args = parser.parse_args()
    out = driver.answers()
    fstest.VERBOSE = 0
    log = Messages()
    logging.getLogger().addHandler(log)
    with tempfile.TemporaryDirectory() as folder:
        reports = {
            os.path.basename(path): judge(path, folder, log)
            for path in sorted(glob.glob(os.path.join(args.dir, "*.fs")))
        }
    out.write(json.dumps(reports) + "\n")


main()
