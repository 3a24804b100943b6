"""Damaged files: what readers must answer to them, drawn by hypothesis."""
