"""A pool of llama.cpp servers on hosts that are reached over SSH; `infra/pool.py` is its command."""
