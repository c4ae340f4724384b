"""Pack and clean the tables of an output while no run is alive: `spark-submit jobs/maintain.py --output …`."""

from __future__ import annotations

import sys

from triplelake.cli import maintain_command

if __name__ == "__main__":
    sys.exit(maintain_command(sys.argv[1:]))
