"""Stand-ins for Python files of Slicer: ``slicer`` extends the package of that name, ``modules`` the path."""
