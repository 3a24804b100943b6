"""The CTs of a training: finding, judging and reading them."""
