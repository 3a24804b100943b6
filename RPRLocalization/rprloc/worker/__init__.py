"""The worker process of Slicer: JSON lines in, JSON lines out (docs/worker-protocol.md)."""
