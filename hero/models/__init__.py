"""Language models that run in this process, and all that depends on how transformers works inside."""
