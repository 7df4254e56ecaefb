"""Driver: a ZEO client that commits until it is told to stop.

usage: zeoclient.py [--blob-dir DIR] HOST:PORT

Runs in both environments. --blob-dir is the client's own blob cache, not the
server's directory.
"""

import argparse
import base64
import random
import threading
import time

import transaction
import ZODB
import ZODB.blob
from persistent.mapping import PersistentMapping
from ZEO.ClientStorage import ClientStorage
from ZEO.Exceptions import ClientDisconnected, ServerException
from ZODB.POSException import ConflictError, UndoError

import driver


class Client(ClientStorage):
    """A ClientStorage that remembers the TID of its last commit."""

    finished = None

    def tpc_finish(self, *args, **kwargs):
        tid = super().tpc_finish(*args, **kwargs)
        self.finished = tid
        return tid


class Committer:
    def __init__(self, args):
        self.storage = Client(
            driver.address(args.address),
            blob_dir=args.blob_dir,
            wait_timeout=60,
        )
        self.db = ZODB.DB(self.storage)
        self.thread = None
        self._reset()

    def _reset(self):
        self.stopping = threading.Event()
        self.commits = []  # (TID, time of the commit's return, seconds it took)
        self.undone = 0
        self.conflicts = 0
        self.disconnects = 0
        self.error = None

    def do_start(self, **work):
        """Begin to commit in the background; for the keys see _run."""
        self._reset()
        self.thread = threading.Thread(target=self._run, kwargs=work, daemon=True)
        self.thread.start()

    def do_progress(self):
        """Tell how many commits there are so far."""
        return {"count": len(self.commits), "error": self.error}

    def do_wait(self, timeout):
        """Wait for the end of a run that has one, and report."""
        self.thread.join(timeout)
        if self.thread.is_alive():
            raise TimeoutError(f"{len(self.commits)} commits in {timeout} s")
        return self._report()

    def do_stop(self, timeout=60):
        """End the run after the present commit, and report."""
        self.stopping.set()
        return self.do_wait(timeout)

    def do_pack(self, keep=0):
        """Pack as zeopack does."""
        self.storage.pack(time.time() - keep, wait=True)

    def do_close(self):
        self.db.close()

    def _report(self):
        return {
            "commits": [[driver.hexid(tid), *times] for tid, *times in self.commits],
            "undone": self.undone,
            "conflicts": self.conflicts,
            "disconnects": self.disconnects,
            "error": self.error,
        }

    def _run(
        self, name="client", rate=0, count=0, seconds=0, size=500, blobs=0, undo=0, seed=0
    ):
        """Commit: rate a second (0: at once), until count or seconds (0: never).

        blobs and undo are the shares, 0 to 1, of transactions that write a blob
        of up to 100 times size bytes, or undo an earlier transaction.
        """
        rng = random.Random(seed)
        began = time.monotonic()
        due = began
        while not self.stopping.is_set():
            if count and len(self.commits) >= count:
                break
            if seconds and time.monotonic() > began + seconds:
                break
            if rate:
                due += 1 / rate
                if self.stopping.wait(max(0, due - time.monotonic())):
                    break
            try:
                self._commit(rng, name, size, blobs, undo)
            except (ConflictError, UndoError):
                self.conflicts += 1
            except ClientDisconnected:
                self.disconnects += 1
                self.stopping.wait(0.05)
            except ServerException as e:
                # Undo of what is packed already: an error that the client
                # can't recreate.
                if "UndoError" not in str(e):
                    self._fail(e)
                self.conflicts += 1
            except Exception as e:
                self._fail(e)

    def _fail(self, e):
        self.error = f"{type(e).__name__}: {e}"
        raise e

    def _commit(self, rng, name, size, blobs, undo):
        manager = transaction.TransactionManager()
        connection = self.db.open(manager)
        try:
            what = rng.random()
            undoing = bool(self.commits) and what < undo
            if undoing:
                tid = rng.choice(self.commits[-5:])[0]
                self.db.undo(base64.encodebytes(tid).rstrip(), manager.get())
            else:
                edit(connection.root(), rng, name, size, what < undo + blobs)
            manager.get().note(f"{name} {len(self.commits)}")
            began = time.time()
            manager.commit()
            now = time.time()
            self.commits.append((self.storage.finished, now, now - began))
            self.undone += undoing
        finally:
            manager.abort()
            connection.close()


def edit(root, rng, name, size, blob):
    """Change something that is mine, and now and then what all clients change."""
    if name not in root:
        root[name] = PersistentMapping()
    mine = root[name]
    key = f"{rng.randrange(50):02}"
    if blob:
        mine["blob" + key] = ZODB.blob.Blob(rng.randbytes(rng.randrange(100 * size)))
        return
    if key not in mine:
        mine[key] = PersistentMapping()
    mine[key]["payload"] = rng.randbytes(rng.randrange(2 * size))
    if rng.random() < 0.1:
        root["last"] = name


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--blob-dir")
    parser.add_argument("address")
    args = parser.parse_args()
    out = driver.answers()
    driver.logs()
    driver.serve(Committer(args), out)


main()
