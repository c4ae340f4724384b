"""Extract triples from a corpus into Delta tables: `spark-submit jobs/extract.py --input … --output …`."""

from __future__ import annotations

import sys

from triplelake.start import start

if __name__ == "__main__":
    sys.exit(start("extract"))
