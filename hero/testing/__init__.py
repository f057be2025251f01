"""Hypothesis strategies and laws, with which a component of your own is property-tested; needs hypothesis."""
