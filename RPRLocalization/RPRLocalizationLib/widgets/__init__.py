"""Helpers over Qt widgets that both modules use."""
