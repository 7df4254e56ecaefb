"""Make pairs of databases with the real ZODB, and say how each pair relates.

usage: pairs.py DIR

For each pair a directory is made in DIR, with a.fs and b.fs, and blob
directories a.blobs and b.blobs where there are any. Standard output gets a
line of JSON for each: name, relation (of a to b), code (the exit code of zrs
verify), and differences (kinds of them that must be told).

A pair is made by a function of the list PAIRS. Its histories are real ones:
commits, undos and packs of ZODB, copies by shutil as rsync would make them,
replication by copyTransactionsFrom's way of restoring.
"""

import base64
import contextlib
import json
import os
import shutil
import sys

import transaction
import ZODB
import ZODB.blob
from persistent.mapping import PersistentMapping
from ZODB.Connection import TransactionMetaData
from ZODB.FileStorage import FileIterator, FileStorage
from ZODB.serialize import referencesf
from ZODB.TimeStamp import TimeStamp
from ZODB.utils import load_current, z64

import content

PAIRS = []


def pair(relation, *differences, code=None):
    """Register a pair, by the relation that it has."""

    def register(make):
        PAIRS.append((make.__name__.replace("_", "-"), make, relation, differences, code))
        return make

    return register


class Site:
    """A database that is committed to."""

    def __init__(self, path, blobs=False, layout=None):
        self.path = path
        self.blobs = path[:-3] + ".blobs" if blobs else None
        self.db = None
        if layout:
            FileStorage(path, create=True).close()
            os.makedirs(self.blobs)
            with open(os.path.join(self.blobs, ".layout"), "w") as f:
                f.write(layout)
        self.open()

    def open(self):
        self.storage = FileStorage(self.path, blob_dir=self.blobs)
        return self

    def root(self):
        """Open a database on it, which makes the root object."""
        if self.db is None:
            self.db = ZODB.DB(self.storage)
        return self.db

    def close(self):
        if self.db is not None:
            self.db.close()
            self.db = None
        else:
            self.storage.close()

    def last(self):
        return self.storage.lastTransaction()

    @contextlib.contextmanager
    def txn(self, note="", user="", ext=None):
        """Commit what is done to the root object."""
        manager = transaction.TransactionManager()
        connection = self.root().open(manager)
        try:
            manager.begin()
            manager.get().note(note)
            if user:
                manager.get().setUser(user)
            for key, value in (ext or {}).items():
                manager.get().setExtendedInfo(key, value)
            yield connection.root()
            manager.commit()
        finally:
            manager.abort()
            connection.close()

    def put(self, name, seed=0, size=100, under=None):
        """Make or change the mapping of that name."""
        with self.txn(f"put {name}", "editor") as root:
            folder = root[under] if under else root
            if name not in folder:
                folder[name] = PersistentMapping()
            folder[name]["payload"] = content.payload(size, seed)
        return self.last()

    def drop(self, name, under=None):
        with self.txn(f"drop {name}") as root:
            folder = root[under] if under else root
            del folder[name]
        return self.last()

    def blob(self, name, seed=0, size=1000):
        with self.txn(f"blob {name}") as root:
            if name not in root:
                root[name] = ZODB.blob.Blob()
            with root[name].open("w") as f:
                f.write(content.payload(size, seed))
        return self.last()

    def undo(self, *tids):
        manager = transaction.TransactionManager()
        manager.begin()
        ids = [base64.encodebytes(t).rstrip() for t in tids]
        self.root().undoMultiple(ids, manager.get())
        manager.get().note("undo")
        manager.commit()
        return self.last()

    def raw(self, *oids, seed=0, extension=b"", user=b"", gone=()):
        """Commit records through the storage's own interface."""
        txn = TransactionMetaData(user, b"raw")
        if extension:
            txn.extension_bytes = extension
        self.storage.tpc_begin(txn)
        for n, oid in enumerate(oids):
            try:
                serial = load_current(self.storage, oid)[1]
            except KeyError:
                serial = z64
            self.storage.store(oid, serial, content.record(50, seed + n), "", txn)
        for oid in gone:
            self.storage.deleteObject(oid, load_current(self.storage, oid)[1], txn)
        self.storage.tpc_vote(txn)
        self.storage.tpc_finish(txn)
        return self.last()

    def pack(self, tid=None, gc=True):
        """Pack up to and with a transaction."""
        stop = TimeStamp(tid or self.last()).timeTime() + 2e-6
        self.storage.pack(stop, referencesf, gc=gc)

    def some(self, n, seed=0):
        """Commit n transactions of usual kinds."""
        tids = []
        for i in range(n):
            tids.append(self.put(f"doc{(seed + i) % 4}", seed=seed * 100 + i, size=40 * i + 10))
        return tids

    def copy(self, path):
        """Copy the files to another site, as rsync does."""
        self.close()
        shutil.copyfile(self.path, path)
        if self.blobs:
            shutil.copytree(self.blobs, path[:-3] + ".blobs")
        self.open()
        return Site(path, blobs=bool(self.blobs))

    def follow(self, source):
        """Restore what another has after our last transaction."""
        start = self.last()
        for txn in FileIterator(source.path):
            if txn.tid <= start:
                continue
            restore(self.storage, txn, list(txn))
            start = txn.tid


def restore(storage, txn, records, header=None):
    """Write a transaction into a storage as copyTransactionsFrom does."""
    header = header or txn
    storage.tpc_begin(header, txn.tid, txn.status)
    for r in records:
        storage.restore(r.oid, r.tid, r.data, "", r.data_txn, header)
    storage.tpc_vote(header)
    storage.tpc_finish(header)


class Record:
    """A record to be restored."""

    def __init__(self, r, **changes):
        self.oid, self.tid, self.data, self.data_txn = r.oid, r.tid, r.data, r.data_txn
        self.__dict__.update(changes)


def rewrite(source, path, change):
    """Write a data file anew, each transaction as change(n, txn, records) gives it.

    That returns None to leave it out, or records, or header and records.
    """
    storage = FileStorage(path, create=True)
    for n, txn in enumerate(FileIterator(source)):
        result = change(n, txn, [Record(r, data_txn=None) for r in txn])
        if result is None:
            continue
        header, records = result if isinstance(result, tuple) else (None, result)
        restore(storage, txn, records, header)
    storage.close()


def header(txn, **changes):
    """Return other metadata for a transaction; an extension may be raw bytes."""
    extension = changes.get("extension", {})
    user, description = changes.get("user", txn.user), txn.description
    if isinstance(extension, bytes):
        meta = TransactionMetaData(user, description)
        meta.extension_bytes = extension
        return meta
    return TransactionMetaData(user, description, extension)


class Pair:
    """The two sides of a pair, in a directory."""

    def __init__(self, directory):
        self.pa = os.path.join(directory, "a.fs")
        self.pb = os.path.join(directory, "b.fs")
        self.sites = []

    def site(self, path=None, **options):
        site = Site(path or self.pa, **options)
        self.sites.append(site)
        return site

    def twin(self, site):
        """Copy a to b."""
        twin = site.copy(self.pb)
        self.sites.append(twin)
        return twin

    def base(self, n=6, **options):
        """Make a, with n transactions, and its copy b."""
        a = self.site(**options)
        a.root()
        a.some(n)
        return a, self.twin(a)

    def close(self):
        for site in self.sites:
            site.close()


# One is a beginning of the other.


@pair("equal")
def empty(p):
    p.site()
    p.site(p.pb)


@pair("behind")
def empty_and_not(p):
    p.site()
    p.site(p.pb).some(3)


@pair("equal")
def copied(p):
    p.base(20)


@pair("behind")
def prefix_by_one(p):
    a, b = p.base()
    b.some(1)


@pair("behind")
def prefix_by_many(p):
    a, b = p.base()
    b.some(20)


@pair("ahead")
def ahead(p):
    a, b = p.base()
    a.some(3, seed=1)


@pair("behind")
def torn_tail(p):
    a, b = p.base()
    size = os.path.getsize(p.pa)
    a.close()
    os.truncate(p.pa, size - 10)
    p.sites.remove(a)


@pair("equal")
def empty_transactions(p):
    a, b = p.base(2)
    a.raw()
    b.follow(a)
    a.raw()
    b.follow(a)


# The same in another way.


@pair("equal")
def restored_with_undos(p):
    a = p.site()
    a.root()
    a.some(3)
    a.undo(a.undo(a.undo(a.put("doc1", 7))))
    a.undo(a.put("new", 1))
    b = p.site(p.pb)
    b.follow(a)


@pair("equal")
def undos_restored_as_data(p):
    a = p.site()
    a.root()
    a.some(3)
    a.undo(a.undo(a.put("doc1", 7)))
    rewrite(p.pa, p.pb, lambda n, txn, records: records)


@pair("equal")
def records_in_another_order(p):
    a = p.site()
    a.root()
    with a.txn("several") as root:
        for name in "abcde":
            root[name] = PersistentMapping({"name": name})
    with a.txn("again") as root:
        for name in "abcde":
            root[name]["name"] = name * 2
    rewrite(p.pa, p.pb, lambda n, txn, records: records[::-1])


@pair("equal")
def extension_pickled_anew(p):
    a = p.site()
    a.root()
    with a.txn("with an extension", ext={"request_type": "form", "n": 7}) as root:
        root["x"] = 1
    old = content.extension("protocol-2")
    anew = content.dumps({"request_type": "form", "n": 7}, 3)
    other = p.pb + ".new"
    rewrite(p.pa, other, lambda n, txn, records: (header(txn, extension=old if txn.extension else b""), records))
    rewrite(other, p.pb, lambda n, txn, records: (header(txn, extension=anew if n == 1 else b""), records))
    a.close()
    p.sites.remove(a)
    os.replace(other, p.pa)


@pair("equal")
def several_undone_in_one(p):
    a = p.site()
    a.root()
    a.put("x", 0)
    tids = [a.put("x", n) for n in range(1, 4)]
    a.undo(*tids[::-1])
    rewrite(p.pa, p.pb, lambda n, txn, records: records)


if not hasattr(TransactionMetaData, "extension_bytes"):
    PAIRS[:] = [x for x in PAIRS if x[1] is not extension_pickled_anew]  # takes raw bytes


# Forks, and what else differs.


def fork(p, ours, theirs, before=4):
    a, b = p.base(before)
    for n in range(max(ours, theirs)):
        if n < ours:
            a.some(1, seed=n + 1)
        if n < theirs:
            b.some(1, seed=n + 50)
    return a, b


@pair("diverged")
def fork_one_and_one(p):
    fork(p, 1, 1)


@pair("diverged")
def fork_one_and_five(p):
    fork(p, 1, 5)


@pair("diverged")
def fork_five_and_one(p):
    fork(p, 5, 1)


@pair("diverged")
def fork_long(p):
    fork(p, 20, 25)


@pair("diverged")
def fork_at_the_start(p):
    a = p.site()
    a.root()
    b = p.twin(a)
    a.some(3)
    b.some(3, seed=9)


@pair("diverged")
def fork_and_one_went_back(p):
    a, b = fork(p, 3, 0)
    a.undo(a.put("doc1", 99))
    b.some(2, seed=7)


@pair("diverged")
def unrelated(p):
    a, b = p.site(), p.site(p.pb)
    for n in range(3):
        a.some(1, seed=n)
        b.some(1, seed=n + 10)


@pair("diverged")
def unrelated_and_packed(p):
    a = p.site()
    a.some(3)
    a.close()
    p.sites.remove(a)
    b = p.site(p.pb)
    b.some(5, seed=3)
    b.pack()


@pair("diverged", "data")
def other_data(p):
    def change(n, txn, records):
        if n != 3:
            return records
        return [Record(r, data=r.data[:-3] + b"X" + r.data[-2:]) for r in records]

    p.site().some(6)
    rewrite(p.pa, p.pb, change)


@pair("diverged", "texts")
def other_user(p):
    a = p.site()
    a.some(5)
    rewrite(p.pa, p.pb, lambda n, txn, records: (header(txn, user=b"somebody"), records) if n == 2 else records)


@pair("diverged", "extension")
def other_extension(p):
    a = p.site()
    a.some(5)
    rewrite(
        p.pa,
        p.pb,
        lambda n, txn, records: (header(txn, extension={"n": 1}), records) if n == 2 else records,
    )


@pair("diverged", "record")
def record_missing(p):
    a = p.site()
    a.some(5)
    rewrite(p.pa, p.pb, lambda n, txn, records: records[:1] if n == 2 else records)


@pair("diverged")
def transaction_lost(p):
    a = p.site()
    a.some(8)
    rewrite(p.pa, p.pb, lambda n, txn, records: None if n == 4 else records)


@pair("diverged", "data")
def bit_flipped(p):
    a, b = p.base()
    data = open(p.pa, "rb").read()
    b.close()
    p.sites.remove(b)
    place = data.rindex(b"payload")
    with open(p.pb, "r+b") as f:
        f.seek(place)
        f.write(b"q")


@pair("damaged", code=3)
def length_damaged(p):
    a, b = p.base()
    b.close()
    p.sites.remove(b)
    with open(p.pb, "r+b") as f:
        f.seek(4 + 8 + 7)
        f.write(b"\xff")


# Packs.


@pair("equal-after-pack")
def packed_now(p):
    a, b = p.base(10)
    a.pack()


@pair("equal-after-pack")
def packed_now_without_gc(p):
    a, b = p.base(10)
    a.pack(gc=False)


def half(p, gc=True):
    a = p.site()
    tids = a.some(10)
    b = p.twin(a)
    a.pack(tids[5], gc=gc)
    return a, b, tids


@pair("equal-after-pack")
def packed_half(p):
    half(p)


@pair("equal-after-pack")
def packed_half_without_gc(p):
    half(p, gc=False)


@pair("equal-after-pack")
def both_packed_at_different_times(p):
    a, b, tids = half(p)
    b.pack(tids[8])


@pair("equal-after-pack")
def one_packed_with_gc_one_without(p):
    a = p.site()
    a.some(8)
    a.drop("doc1")
    a.some(3)
    b = p.twin(a)
    a.pack()
    b.pack(gc=False)


@pair("equal")
def both_packed_alike(p):
    a, b, tids = half(p)
    b.pack(tids[5])


@pair("equal-after-pack")
def packed_with_garbage(p):
    a = p.site()
    a.some(6)
    a.put("folder")
    a.put("inside", under="folder")
    a.put("inside", 3, under="folder")
    a.drop("folder")
    a.some(3, seed=2)
    b = p.twin(a)
    a.pack()


@pair("equal-after-pack")
def packed_then_continued(p):
    a, b, tids = half(p)
    a.some(5, seed=4)
    b.follow(a)


@pair("equal-after-pack")
def packed_twice_then_continued(p):
    a, b, tids = half(p)
    a.some(3, seed=4)
    b.follow(a)
    a.drop("doc0")
    a.some(2, seed=5)
    a.pack()
    b.follow(a)
    a.some(2, seed=6)
    b.follow(a)


@pair("ahead-after-pack")
def packed_then_ahead(p):
    a, b, tids = half(p)
    a.some(5, seed=4)


@pair("behind-after-pack")
def packed_then_behind(p):
    a, b, tids = half(p)
    b.some(5, seed=4)


@pair("behind-after-pack")
def packed_past_the_other_end(p):
    a = p.site()
    a.put("stays")
    a.some(5)
    b = p.twin(a)
    b.some(8, seed=3)
    b.pack()
    b.some(1, seed=4)


@pair("behind-after-pack")
def both_packed_and_behind(p):
    a, b, tids = half(p)
    b.some(3, seed=4)
    b.pack(tids[8])


@pair("equal-after-pack")
def packed_with_undo_across(p):
    a = p.site()
    a.some(4)
    changed = a.put("doc1", 77)
    a.put("doc2", 5)
    stop = a.last()
    a.undo(changed)
    a.some(1, seed=9)
    b = p.twin(a)
    a.pack(stop)


@pair("equal-after-pack")
def packed_with_undo_of_undo_across(p):
    a = p.site()
    a.some(4)
    changed = a.put("doc1", 77)
    undone = a.undo(changed)
    stop = a.last()
    a.undo(undone)
    b = p.twin(a)
    a.pack(stop)


@pair("equal-after-pack")
def packed_with_undone_removal_across(p):
    a = p.site()
    a.some(4)
    dropped = a.drop("doc1")
    stop = a.put("doc2", 5)
    a.undo(dropped)
    b = p.twin(a)
    a.pack(stop)


@pair("diverged", "lost-object")
def packed_replica_and_undone_removal(p):
    a = p.site()
    a.some(4)
    dropped = a.drop("doc1")
    a.put("doc2", 5)
    b = p.twin(a)
    b.pack()
    a.undo(dropped)
    for txn in FileIterator(p.pa):
        if txn.tid == a.last():  # the replica has not what the undo refers to
            restore(b.storage, txn, [Record(r, data_txn=None) for r in txn])


@pair("equal-after-pack")
def replica_packed_and_primary_undid(p):
    a = p.site()
    a.some(4)
    changed = a.put("doc1", 77)
    a.some(2, seed=3)
    b = p.twin(a)
    b.pack()
    changed = a.put("doc3", 78)
    b.follow(a)
    a.undo(changed)
    for txn in FileIterator(p.pa):
        if txn.tid == a.last():
            restore(b.storage, txn, [Record(r, data_txn=None) for r in txn])


@pair("equal-after-pack")
def packed_undone_creation(p):
    a = p.site()
    a.some(4)
    a.undo(a.put("new", 1))
    a.some(2, seed=2)
    b = p.twin(a)
    a.pack()


@pair("equal-after-pack")
def packed_deletion(p):
    a = p.site()
    a.some(4)
    with a.txn() as root:
        oid = root["doc1"]._p_oid
    a.drop("doc1")
    a.raw(gone=[oid])
    a.some(2, seed=2)
    b = p.twin(a)
    a.pack(gc=False)


@pair("equal-after-pack")
def last_was_garbage(p):
    a = p.site()
    a.some(4)
    with a.txn() as root:
        oid = root["doc1"]._p_oid
    a.drop("doc1")
    a.raw(oid, seed=5)
    b = p.twin(a)
    a.pack()


@pair("equal-after-pack")
def empty_transaction_packed_away(p):
    a = p.site()
    a.some(4)
    a.raw()
    a.some(2, seed=2)
    b = p.twin(a)
    a.pack()


@pair("equal-after-pack")
def copy_of_a_packed_one_and_the_original(p):
    a = p.site()
    a.some(4)
    changed = a.put("doc1", 77)
    stop = a.put("doc2", 5)
    a.undo(changed)
    a.close()
    shutil.copyfile(p.pa, p.pb)
    a.open()
    a.pack(stop)
    rewrite(p.pa, p.pa + ".new", lambda n, txn, records: records)
    a.close()
    p.sites.remove(a)
    os.replace(p.pa + ".new", p.pa)


@pair("diverged")
def fork_then_one_packed(p):
    a, b = fork(p, 3, 3)
    a.pack()


@pair("diverged")
def fork_then_both_packed(p):
    a, b = fork(p, 3, 3)
    a.put("ours", 1)
    b.put("theirs", 1)
    a.pack()
    b.pack()
    b.some(1, seed=30)


@pair("diverged")
def fork_behind_a_common_pack(p):
    a, b, tids = half(p)
    b.pack(tids[5])
    a.some(1, seed=3)
    b.some(1, seed=4)


@pair("diverged", "revision")
def lost_then_packed(p):
    a = p.site()
    a.some(4)
    a.put("special", 1)
    lost = a.put("special", 2)
    a.some(4, seed=3)
    rewrite(p.pa, p.pb, lambda n, txn, records: None if txn.tid == lost else records)
    p.site(p.pb).pack()


@pair("equal-after-pack")
def fork_covered_by_a_pack(p):
    # What a made alone was superseded in b before b was packed: this can't be
    # told from a pack that took it.
    a = p.site()
    a.put("doc", 1)
    b = p.twin(a)
    a.put("doc", 2)
    b.put("doc", 3)
    b.pack()
    for txn in FileIterator(p.pb):
        if txn.tid == b.last():
            last = txn, [Record(r, data_txn=None) for r in txn]
    restore(a.storage, *last)


@pair("diverged", "lost-object")
def pack_gc_bug(p):
    a = p.site()
    a.put("folder")
    a.put("doc", under="folder")
    first = a.drop("doc", under="folder")
    second = a.drop("folder")
    stop = second
    a.undo(second)
    a.undo(first)
    b = p.twin(a)
    a.pack(stop)


@pair("diverged", "data")
def pack_multi_undo_bug(p):
    a = p.site()
    a.put("x", 0)
    tids = [a.put("x", n) for n in range(1, 4)]
    several = a.undo(*tids[::-1])
    changed = a.put("x", 9)
    a.undo(changed)
    b = p.twin(a)
    a.pack(tids[0])


# Blobs.


def blobs(p, **options):
    a = p.site(blobs=True, **options)
    a.blob("one", 1)
    a.blob("two", 2, 200_000)
    a.blob("one", 3)
    return a, p.twin(a)


def blob_file(site, n=0):
    files = []
    for where, _, names in os.walk(site.blobs):
        files += [os.path.join(where, name) for name in names if name.endswith(".blob")]
    path = sorted(files)[n]
    os.chmod(path, 0o644)
    return path


@pair("equal")
def blobs_equal(p):
    blobs(p)


@pair("equal")
def blobs_in_another_layout(p):
    a = p.site(blobs=True)
    b = p.site(p.pb, blobs=True, layout="lawn")
    a.blob("one", 1)
    a.blob("two", 2, 200_000)
    a.close()
    b.storage.copyTransactionsFrom(a.open().storage)


@pair("damaged", "blob-missing", code=8)
def blob_missing(p):
    a, b = blobs(p)
    os.remove(blob_file(b))


@pair("diverged", "blob")
def blob_truncated(p):
    a, b = blobs(p)
    os.truncate(blob_file(b, 1), 10)


@pair("diverged", "blob")
def blob_altered(p):
    a, b = blobs(p)
    with open(blob_file(b, 2), "r+b") as f:
        f.write(b"altered")


@pair("equal-after-pack")
def blobs_packed(p):
    a, b = blobs(p)
    a.pack()


@pair("equal-after-pack")
def blobs_packed_with_garbage(p):
    a, b = blobs(p)
    for site in (a, b):
        site.close()
    p.sites.clear()
    a = p.site(blobs=True)
    a.drop("two")
    a.put("doc")
    shutil.rmtree(b.blobs)
    os.remove(p.pb)
    p.twin(a)
    a.pack()


@pair("behind")
def blob_committed(p):
    a, b = blobs(p)
    b.blob("three", 7)


def main():
    directory = sys.argv[1]
    for name, make, relation, differences, code in PAIRS:
        where = os.path.join(directory, name)
        os.mkdir(where)
        p = Pair(where)
        try:
            make(p)
        except Exception as e:
            raise RuntimeError(f"making the pair {name}") from e
        p.close()
        if code is None:
            code = 0 if relation in ("equal", "equal-after-pack") else 1
        print(json.dumps(dict(name=name, relation=relation, code=code, differences=differences)))


main()
