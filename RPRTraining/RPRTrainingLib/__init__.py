"""The Slicer side of the module RPRTraining: panel and logic over the worker process.

The engine is ``rprtrain``.
"""
