"""wump's REST API, and the commands that ask it."""
