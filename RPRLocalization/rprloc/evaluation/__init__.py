"""How well answers agree with contours, and pictures of them."""
