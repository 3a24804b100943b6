"""From box to contour: a dense map between a reference and a query, and masks carried by it."""
