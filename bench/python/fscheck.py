"""Time one of ZODB's checks of a FileStorage.

usage: fscheck.py fstest|fsrefs PATH

Prints one JSON object: seconds, of the check alone, without the imports.
"""

import contextlib
import importlib
import json
import os
import sys
import time


def main():
    name, path = sys.argv[1:]
    module = importlib.import_module("ZODB.scripts." + name)
    run = module.check if name == "fstest" else module.main
    with open(os.devnull, "w") as null, contextlib.redirect_stdout(null):
        began = time.perf_counter()
        run(path)
        seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds}))


main()
