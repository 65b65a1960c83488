"""Derivations: how what is wanted becomes the smallest correct orders."""
