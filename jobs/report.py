"""Make an HTML file that shows an output: `python jobs/report.py --output PATH --to report.html`."""

from __future__ import annotations

import sys

from triplelake.start import start

if __name__ == "__main__":
    sys.exit(start("report"))
