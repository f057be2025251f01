"""Policies: the shipped tiny model, any transformers causal language model."""
