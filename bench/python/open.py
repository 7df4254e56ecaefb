"""Time how long ZODB takes to open a FileStorage without its saved index.

usage: open.py [--blob-dir DIR] PATH

Prints one JSON object: seconds, objects. The open is read-only, so that it
leaves no index behind.
"""

import argparse
import json
import time

from ZODB.FileStorage import FileStorage


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--blob-dir")
    parser.add_argument("path")
    args = parser.parse_args()
    began = time.perf_counter()
    storage = FileStorage(args.path, read_only=True, blob_dir=args.blob_dir)
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "objects": len(storage)}))
    storage.close()


main()
