"""Judging a trained model, with and without annotations."""
