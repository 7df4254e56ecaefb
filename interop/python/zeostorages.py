"""Driver: a ZEO server with any number of storages, or none.

usage: zeostorages.py [--address HOST:PORT|PATH] [STORAGE=PATH...]

Runs in both environments.
"""

import argparse
import threading

from ZEO.StorageServer import StorageServer
from ZODB.Connection import TransactionMetaData
from ZODB.FileStorage import FileStorage
from ZODB.utils import z64

import driver


class Server:
    def __init__(self, args):
        self.storages = {}
        for arg in args.storages:
            name, _, path = arg.partition("=")
            self.storages[name] = FileStorage(path)
        address = args.address
        if ":" in address:
            address = driver.address(address)
        self.server = StorageServer(address, self.storages)
        addr = self.server.addr
        self.address = addr if isinstance(addr, str) else "%s:%s" % addr[:2]
        threading.Thread(target=self.server.loop, daemon=True).start()

    def do_commit(self, storage, tid):
        """Commit a transaction of one record with the given TID."""
        s = self.storages[storage]
        t = TransactionMetaData()
        s.tpc_begin(t, driver.rawid(tid))
        s.store(s.new_oid(), z64, b"data", "", t)
        s.tpc_vote(t)
        s.tpc_finish(t)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", default="127.0.0.1:0")
    parser.add_argument("storages", nargs="*", metavar="STORAGE=PATH")
    args = parser.parse_args()
    out = driver.answers()
    driver.logs()
    server = Server(args)
    driver.serve(server, out, address=server.address)


main()
