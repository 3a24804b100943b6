"""What the worker is asked for, step by step."""
