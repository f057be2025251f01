"""Suites of held-out text, which show what a model can do beside its environment, before training and after."""
