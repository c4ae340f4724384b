"""The version of this package."""

__version__ = "0.1.0"
"""Read by setup.py too: this is the one place that has it."""
