"""Query the tables and views of an output: `python jobs/sql.py --output PATH "SELECT …"`."""

from __future__ import annotations

import sys

from triplelake.cli import sql_command

if __name__ == "__main__":
    sys.exit(sql_command(sys.argv[1:]))
