"""A whole training: request, presets, estimate, stages, record and export."""
