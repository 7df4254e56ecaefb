"""Runs a command line tool of ZODB or of zodbtools in this environment.

usage: tool.py MODULE ARGS...
       tool.py zodb COMMAND ARGS...

MODULE is run as with python -m: ZODB.FileStorage.fsdump, ZODB.scripts.repozo. The
commands are zodbtools', one module each: its own entry point imports all of them,
and fails where Python was built without gdbm.
"""

import importlib
import runpy
import sys


def main():
    del sys.argv[0]
    if sys.argv[0] != "zodb":
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        return
    import golang
    import golang.gcompat
    import golang.strconv

    # zodbtools is made for later releases of pygolang: they have b, which leaves
    # bytes and encodes text, and what their qq returns goes into bytes.
    golang.b = lambda s: s if isinstance(s, bytes) else s.encode("utf-8", "surrogateescape")
    golang.gcompat.qq = lambda s: golang.strconv.quote(golang.b(s))
    from zodbtools import util

    # It looks up hash functions by what b returns.
    registry = util.hashRegistry
    registry.update({name.encode(): func for name, func in list(registry.items())})
    del sys.argv[0]
    importlib.import_module("zodbtools.zodb" + sys.argv[0]).main(sys.argv)


main()
