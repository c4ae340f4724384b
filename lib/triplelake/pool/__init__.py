"""Whom we ask: llama.cpp servers, one client each, shared out over tasks. Plain Python, no Spark."""
