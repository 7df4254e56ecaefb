"""Driver: a FileStorage that is written to, plain or as a zc.zrs primary.

usage: storage.py [--blob-dir DIR] [--layout LAYOUT] [--primary HOST:PORT] PATH

Runs in both environments; --primary only in "legacy". Every method do_NAME is a
command, see driver.py. Those that commit answer with "tid" or "tids".
"""

import argparse
import base64
import os
import random
import time

import transaction
import ZODB
import ZODB.blob
from persistent.mapping import PersistentMapping
from ZODB.Connection import TransactionMetaData
from ZODB.FileStorage import FileStorage
from ZODB.serialize import referencesf
from ZODB.TimeStamp import TimeStamp
from ZODB.utils import load_current, z64

import content
import driver


class Storage:
    def __init__(self, path, blob_dir, layout, primary):
        if layout and not os.path.exists(path):
            choose_layout(path, blob_dir, layout)
        self.files = self.storage = FileStorage(path, blob_dir=blob_dir)
        self.address = None
        if primary:
            import zc.zrs.primary

            self.storage = zc.zrs.primary.Primary(self.files, driver.address(primary))
            self.address = driver.listening(self.storage)
        self.db = None
        self.pending = None

    # Ordinary transactions, through a database connection.

    def do_init(self):
        """Create the root object."""
        self._open()
        return self.do_last()

    def do_commit(self, count=1, seed=0, size=2000):
        """Commit random edits of a tree of objects of up to size bytes."""
        rng = random.Random(seed)
        tids = []
        for n in range(count):
            tids.append(
                self._commit(
                    lambda root: edit_tree(root, rng, size),
                    user=f"user{rng.randrange(5)}",
                    note=f"edit {n} of seed {seed}",
                )
            )
        return {"tids": tids}

    def do_put(self, name, size=100, seed=0):
        """Make or change the object root[name]."""

        def change(root):
            if name not in root:
                root[name] = PersistentMapping()
            root[name]["payload"] = content.payload(size, seed)

        return {"tid": self._commit(change, note=f"put {name}")}

    def do_drop(self, name):
        """Unlink the object root[name]; a pack can then collect it."""

        def change(root):
            del root[name]

        return {"tid": self._commit(change, note=f"drop {name}")}

    def do_blobs(self, put={}, remove=[], seed=0):
        """Make or rewrite blobs, a name to its size, and unlink others."""

        def change(root):
            blobs = root.setdefault("blobs", PersistentMapping())
            for name in remove:
                del blobs[name]
            for n, (name, size) in enumerate(sorted(put.items())):
                if name not in blobs:
                    blobs[name] = ZODB.blob.Blob()
                with blobs[name].open("w") as f:
                    f.write(content.payload(size, seed + n))

        return {"tid": self._commit(change, note="blobs")}

    def do_undo(self, tids):
        """Undo transactions, several in one if there are several."""
        self._open()
        ids = [base64.encodebytes(driver.rawid(t)).rstrip() for t in tids]
        with self._manager() as manager:
            self.db.undoMultiple(ids, manager.get())
            manager.get().note("undo")
            manager.commit()
        return self.do_last()

    # Transactions through the storage's own interface.

    def do_raw(self, sizes=[], seed=0, oids=None, **meta):
        """Commit new objects of the given sizes, or new revisions of oids.

        For the other keys see metadata(). No sizes make an empty transaction.
        """
        oids = [driver.rawid(o) for o in oids or []]
        oids += [self.storage.new_oid() for _ in sizes[len(oids) :]]
        txn = self._begin(**meta)
        self._store(txn, oids, sizes, seed)
        self._finish(txn)
        return dict(self.do_last(), oids=[driver.hexid(o) for o in oids])

    def do_delete(self, oid):
        """Delete an object as an external garbage collector does."""
        oid = driver.rawid(oid)
        serial = load_current(self.storage, oid)[1]
        txn = self._begin()
        self.storage.deleteObject(oid, serial, txn)
        self._finish(txn)
        return self.do_last()

    def do_vote(self, sizes=[100], seed=0, **meta):
        """Go as far as the vote and stay there, until finish or abort.

        The file has a transaction with status "c" at its end meanwhile.
        """
        txn = self._begin(**meta)
        self._store(txn, [self.storage.new_oid() for _ in sizes], sizes, seed)
        self.storage.tpc_vote(txn)
        self.pending = txn

    def do_finish(self):
        """Finish what vote left."""
        self.storage.tpc_finish(self.pending)
        self.pending = None
        return self.do_last()

    def do_abort(self):
        """Abort what vote left."""
        self.storage.tpc_abort(self.pending)
        self.pending = None
        return self.do_last()

    # Everything else.

    def do_pack(self, tid=None, gc=True):
        """Pack to the time of a transaction, which stays packed, or to now."""
        t = time.time()
        if tid:
            # Between this transaction and the next: a float of seconds can
            # not hold the TID itself.
            t = TimeStamp(driver.rawid(tid)).timeTime() + 2e-6
        self.storage.pack(t, referencesf, gc=gc)
        return self.do_last()

    def do_last(self):
        """Tell the last TID and the size of the data up to it."""
        return {
            "tid": driver.hexid(self.storage.lastTransaction()),
            "size": self.files._pos,
        }

    def do_close(self):
        """Close everything, which saves the index."""
        if self.db is None:
            self.storage.close()
        else:
            self.db.close()

    def do_exit(self, code=0):
        """End at once: nothing is closed, flushed or saved."""
        os._exit(code)

    def _open(self):
        if self.db is None:
            self.db = ZODB.DB(self.storage)

    def _manager(self):
        return Manager()

    def _commit(self, change, user="", note=""):
        """Apply change to the root in a transaction, and return its TID."""
        self._open()
        with self._manager() as manager:
            connection = self.db.open(manager)
            try:
                # Raw transactions send no invalidations.
                connection.cacheMinimize()
                txn = manager.get()
                if user:
                    txn.setUser(user)
                txn.note(note)
                change(connection.root())
                manager.commit()
            finally:
                manager.abort()
                connection.close()
        return driver.hexid(self.storage.lastTransaction())

    def _begin(self, tid=None, status=" ", **meta):
        txn = metadata(**meta)
        try:
            self.storage.tpc_begin(txn, tid and driver.rawid(tid), status)
        except Exception:
            self.storage.tpc_abort(txn)  # or the commit lock stays taken
            raise
        if not hasattr(TransactionMetaData, "extension_bytes"):
            # ZODB before 5.6 knows no raw extension: put it where
            # BaseStorage.tpc_begin left the one that it pickled.
            user, description, _ = self.files._ude
            ude = user, description, txn.extension_bytes
            self.files._ude = ude
            self.files._begin(self.files._tid, *ude)
        return txn

    def _store(self, txn, oids, sizes, seed):
        for n, (oid, size) in enumerate(zip(oids, sizes)):
            try:
                serial = load_current(self.storage, oid)[1]
            except KeyError:
                serial = z64
            data = content.record(size, seed + n)
            self.storage.store(oid, serial, data, "", txn)

    def _finish(self, txn):
        self.storage.tpc_vote(txn)
        self.storage.tpc_finish(txn)


class Manager(transaction.TransactionManager):
    """A transaction manager that aborts what its block left open."""

    def __enter__(self):
        self.begin()
        return self

    def __exit__(self, *exc):
        self.abort()


def metadata(user="", description="", extension="", kind=""):
    """Make transaction metadata of raw bytes, or of a kind of extension."""
    txn = TransactionMetaData(driver.rawbytes(user), driver.rawbytes(description))
    if kind:
        txn.extension_bytes = content.extension(kind)
    else:
        txn.extension_bytes = driver.rawbytes(extension)
    return txn


def edit_tree(root, rng, size):
    """Make one to five random edits in a tree of mappings."""
    tree = root.setdefault("tree", PersistentMapping())
    for _ in range(rng.randint(1, 5)):
        node = tree
        children = node.setdefault("children", PersistentMapping())
        while children and rng.random() < 0.7:
            node = children[rng.choice(sorted(children))]
            children = node.setdefault("children", PersistentMapping())
        what = rng.random()
        if what < 0.4 or node is tree:
            node = children[f"{rng.randrange(1000):03}"] = PersistentMapping()
        elif what < 0.5 and children:
            del children[rng.choice(sorted(children))]
        node["payload"] = rng.randbytes(int(size * rng.random() ** 3))


def choose_layout(path, blob_dir, layout):
    """Make the files, with the layout that FileStorage shall find then.

    Without a data file it would empty the blob directory.
    """
    FileStorage(path, create=True).close()
    os.makedirs(blob_dir)
    with open(os.path.join(blob_dir, ".layout"), "w") as f:
        f.write(layout)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--blob-dir")
    parser.add_argument("--layout", choices=["bushy", "lawn"])
    parser.add_argument("--primary", metavar="HOST:PORT")
    parser.add_argument("path")
    args = parser.parse_args()
    out = driver.answers()
    driver.logs()
    storage = Storage(args.path, args.blob_dir, args.layout, args.primary)
    driver.serve(storage, out, address=storage.address)


main()
