"""Augmented views of a CT, and pairs of them."""
