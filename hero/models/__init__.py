"""Language models that run in this process, and all code that depends on the internals of transformers."""
