"""zrs-nagios, the monitoring script of zc.zrs. Runs in the legacy environment."""

import sys

from zc.zrs.nagios import basic

sys.exit(basic())
