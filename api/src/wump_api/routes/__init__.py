"""The routes: one file per noun. Each is a docstring that users read, a check, a store function, an answer."""
