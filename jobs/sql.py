"""Query the tables and views of an output: `python jobs/sql.py --output PATH "SELECT …"`."""

from __future__ import annotations

import sys

from triplelake.start import start

if __name__ == "__main__":
    sys.exit(start("sql"))
