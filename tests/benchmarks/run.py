"""The one command: `uv run python tests/benchmarks/run.py [--size small] [--core] [--only NAME …] [--json FILE]`."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # The modules are imported as the tests import them, wherever this is started.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from benchmarks.command import main

    raise SystemExit(main())
