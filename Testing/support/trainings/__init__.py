"""Trainings of a few steps on phantoms."""
