"""Panels driven without a user, and workers that only play their protocol."""
