"""Extract triples from a corpus into Delta tables: `spark-submit jobs/extract.py --input … --output …`."""

from __future__ import annotations

import sys

from triplelake.cli import extract_command

if __name__ == "__main__":
    sys.exit(extract_command(sys.argv[1:]))
