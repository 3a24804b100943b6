"""Stand-ins for Python files of Slicer: ``slicer`` extends that package, ``modules`` the path."""
