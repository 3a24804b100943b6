"""The commands ``rprloc train`` and ``rprloc check``."""
