"""Everything of the RPRLocalization module that touches Slicer: widget, logic, nodes, worker client."""
