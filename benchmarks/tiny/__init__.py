"""The recipe of the policy that ships with the package: `python -m benchmarks.tiny` makes it from nothing."""
