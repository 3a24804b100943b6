"""Reading and preparing CTs: files to volumes, volumes to the grids that the networks see."""
