"""The benchmark: every method on the same references, patients and complete organs."""
