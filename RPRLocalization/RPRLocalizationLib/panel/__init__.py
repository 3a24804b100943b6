"""The panel of the module, one file per section."""
