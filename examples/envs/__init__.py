"""Environments of other packages, each in a file of its own: a protocol to read, and nothing to change in either."""
