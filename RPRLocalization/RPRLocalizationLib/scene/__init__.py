"""Between the MRML scene (RAS) and the engine (LPS)."""
