#!/bin/sh
# Makes the Python environments of the interoperability tests.
#
# usage: interop/venv.sh [DIR]
#
# DIR (default: .venv at the root of the repository) gets three virtual
# environments: "legacy" (zc.zrs and the ZODB it works with), "modern" (today's
# ZODB and ZEO) and "tools" (zodbtools). They hold exactly what python/*.txt pin.
# A stamp in each makes a second run return at once; a changed pin or another
# Python makes the environment anew. PYTHON names the interpreter to use, python3
# by default. No compiler is needed.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
dir=${1:-$here/../.venv}
python=${PYTHON:-python3}

fail() {
	echo "venv.sh: $*" >&2
	exit 2
}

# stamp NAME prints what the environment NAME must have been made from.
stamp() {
	cat "$here/python/build.txt" "$here/python/$1.txt" "$here/venv.sh" |
		"$python" -c 'import hashlib, sys
print(sys.version)
print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())'
}

# install NAME makes one environment. The stamp comes last: what is interrupted
# is made again. --no-deps holds pip to the pins, and pip check proves that the
# pins are complete.
install() {
	env=$dir/$1
	rm -rf "$env"
	"$python" -m venv "$env"
	pip install --only-binary :all: -r "$here/python/build.txt"
	pip install --only-binary :all: --no-binary zc.zrs,pygolang,zodbtools --no-build-isolation --use-pep517 \
		--no-deps -r "$here/python/$1.txt"
	pip check
	stamp "$1" >"$env/.stamp"
}

pip() {
	"$env/bin/python" -m pip --quiet --disable-pip-version-check --no-input "$@" >&2
}

"$python" -c 'import sys, venv; sys.exit(sys.version_info < (3, 10))' ||
	fail "$python: Python 3.10 or later with venv is needed (set PYTHON)"

mkdir -p "$dir"
dir=$(CDPATH='' cd -- "$dir" && pwd)

# Two test packages may get here at the same moment.
if command -v flock >/dev/null; then
	exec 9>"$dir/.lock"
	flock 9
fi

for name in legacy modern tools; do
	if [ "$(stamp $name)" != "$(cat "$dir/$name/.stamp" 2>/dev/null)" ]; then
		echo "venv.sh: making $dir/$name" >&2
		install $name
	fi
done
