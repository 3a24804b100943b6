"""The training methods of the worker process."""
