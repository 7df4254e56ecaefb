"""Driver: a zc.zrs secondary, with --primary also the middle of a cascade.

usage: secondary.py [--from HOST:PORT] [--primary HOST:PORT] [--blob-dir DIR]
                    [--keep-alive SECONDS] [--reconnect SECONDS] PATH

Runs in the "legacy" environment. Without --from it waits for catch_up, which is
for measuring.
"""

import argparse
import os
import time

import zc.zrs.primary
import zc.zrs.secondary
from ZODB.FileStorage import FileStorage

import driver


class Secondary:
    def __init__(self, args):
        self.files = storage = FileStorage(args.path, blob_dir=args.blob_dir)
        self.address = None
        if args.primary:
            storage = zc.zrs.primary.Primary(storage, driver.address(args.primary))
            self.address = driver.listening(storage)
        self.storage = zc.zrs.secondary.Secondary(
            storage,
            args.source and driver.address(args.source),
            reconnect_delay=args.reconnect,
            keep_alive_delay=args.keep_alive,
        )

    def do_last(self):
        """Tell the last TID and the size of the data up to it."""
        return {
            "tid": driver.hexid(self.files.lastTransaction()),
            "size": self.files._pos,
        }

    def do_wait(self, tid, timeout):
        """Wait until the last TID is at least tid; "reached" tells."""
        tid = driver.rawid(tid)
        reached = driver.poll(lambda: self.files.lastTransaction() >= tid, timeout)
        return dict(self.do_last(), reached=bool(reached))

    def do_catch_up(self, source, tid, timeout):
        """Connect to source and tell how long it took to reach tid."""
        tid = driver.rawid(tid)
        began = time.perf_counter()
        self.storage.setReplicationAddress(driver.address(source))
        reached = driver.poll(lambda: self.files.lastTransaction() >= tid, timeout)
        if not reached:
            raise TimeoutError(f"at {self.do_last()} after {timeout} s")
        return {"seconds": time.perf_counter() - began}

    def do_close(self):
        self.storage.close()

    def do_exit(self, code=0):
        """End at once: nothing is closed, flushed or saved."""
        os._exit(code)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--from", dest="source", metavar="HOST:PORT")
    parser.add_argument("--primary", metavar="HOST:PORT")
    parser.add_argument("--blob-dir")
    parser.add_argument("--keep-alive", type=float, default=0)
    parser.add_argument("--reconnect", type=float, default=0.2)
    parser.add_argument("path")
    args = parser.parse_args()
    out = driver.answers()
    driver.logs()
    secondary = Secondary(args)
    driver.serve(secondary, out, address=secondary.address)


main()
