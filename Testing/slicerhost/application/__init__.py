"""``slicer.app``, modules, windows, scene and files of the host."""
