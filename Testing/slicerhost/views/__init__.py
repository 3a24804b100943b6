"""Slice, 3D and plot views, rendered offscreen."""
