"""Benchmarks that anyone can run: `uv run python tests/benchmarks/run.py`. Nothing here asserts a time."""
