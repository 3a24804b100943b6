"""How well carried contours agree with drawn ones, beside registration."""
