"""Agents as teams write them, one a file. `toolspend.instrument()` is all that they know of this project."""
