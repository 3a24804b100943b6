"""The benchmark: every method on the same references, the same patients and the same complete organs."""
