"""Write facts or triples for other tools: `python jobs/export.py --output PATH --to facts.csv`."""

from __future__ import annotations

import sys

from triplelake.start import start

if __name__ == "__main__":
    sys.exit(start("export"))
