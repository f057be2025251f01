"""The recipes of the policies that ship with the package: `python -m benchmarks.tiny` makes them from nothing."""
