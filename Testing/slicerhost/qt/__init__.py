"""PySide6 dressed as PythonQt."""
