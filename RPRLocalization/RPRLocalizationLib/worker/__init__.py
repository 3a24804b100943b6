"""The worker process, as the application sees it."""
