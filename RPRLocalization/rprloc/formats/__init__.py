"""Files of all kinds to voxels, their lattice and notes; nobody judges yet whether it is a CT."""
