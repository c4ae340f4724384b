"""Pack and clean the tables of an output while no run is alive: `spark-submit jobs/maintain.py --output …`."""

from __future__ import annotations

import sys

from triplelake.start import start

if __name__ == "__main__":
    sys.exit(start("maintain"))
