"""Everything of the RPRLocalization module that touches Slicer.

Widget, logic, nodes, worker client.
"""
