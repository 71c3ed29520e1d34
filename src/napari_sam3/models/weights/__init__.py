"""Weights files: what is in them, which network they are of, and reading them."""
