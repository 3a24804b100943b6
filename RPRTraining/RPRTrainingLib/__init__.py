"""The Slicer side of RPRTraining: panel and logic over the worker; the engine is ``rprtrain``."""
