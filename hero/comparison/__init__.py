"""Comparisons of runs: success at equal environment turns, with intervals over seeds and tasks together."""
