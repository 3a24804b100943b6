"""The ctk widgets that the modules use."""
