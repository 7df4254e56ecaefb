"""Run ZODB's fsrefs. usage: fsrefs.py PATH"""

import sys

from ZODB.scripts import fsrefs

fsrefs.main(sys.argv[1])
