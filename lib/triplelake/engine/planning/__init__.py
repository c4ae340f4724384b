"""From an input to requests in buckets: what is new in it, how it is cut, and what a run will ask."""
