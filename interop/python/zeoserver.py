"""Driver: a ZEO server over a FileStorage, on the loopback interface.

usage: zeoserver.py [--address HOST:PORT] [--primary HOST:PORT] [--blob-dir DIR] PATH

Runs in both environments. With --primary, only in "legacy", the storage that it
serves is a zc.zrs primary, as in a classic ZRS installation.
"""

import argparse
import os
import threading
import time

from ZEO.StorageServer import StorageServer
from ZODB.FileStorage import FileStorage
from ZODB.serialize import referencesf

import driver


class Server:
    def __init__(self, args):
        self.files = self.storage = FileStorage(args.path, blob_dir=args.blob_dir)
        self.primary = None
        if args.primary:
            import zc.zrs.primary

            self.storage = zc.zrs.primary.Primary(
                self.files, driver.address(args.primary)
            )
            self.primary = driver.listening(self.storage)
        self.server = StorageServer(driver.address(args.address), {"1": self.storage})
        self.address = "%s:%s" % self.server.addr[:2]
        self.thread = threading.Thread(target=self.server.loop, daemon=True)
        self.thread.start()

    def do_last(self):
        """Tell the last TID and the size of the data up to it."""
        return {
            "tid": driver.hexid(self.files.lastTransaction()),
            "size": self.files._pos,
        }

    def do_pack(self, keep=0, gc=True):
        """Pack, but keep the history of the last keep seconds."""
        self.storage.pack(time.time() - keep, referencesf, gc=gc)
        return self.do_last()

    def do_stop(self):
        """Stop serving and close the storage, which saves the index."""
        self.server.close()
        self.thread.join(30)

    def do_exit(self, code=0):
        """End at once: nothing is closed, flushed or saved."""
        os._exit(code)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", metavar="HOST:PORT", default="127.0.0.1:0")
    parser.add_argument("--primary", metavar="HOST:PORT")
    parser.add_argument("--blob-dir")
    parser.add_argument("path")
    args = parser.parse_args()
    out = driver.answers()
    driver.logs()
    server = Server(args)
    driver.serve(server, out, address=server.address, primary=server.primary)


main()
