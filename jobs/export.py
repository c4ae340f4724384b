"""Write facts or triples for other tools: `python jobs/export.py --output PATH --to facts.csv`."""

from __future__ import annotations

import sys

from triplelake.cli import export_command

if __name__ == "__main__":
    sys.exit(export_command(sys.argv[1:]))
