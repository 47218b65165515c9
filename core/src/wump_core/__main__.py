"""`python -m wump_core` is `wump`."""

from wump_core.cli import main

main()
