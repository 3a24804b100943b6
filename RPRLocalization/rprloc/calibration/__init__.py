"""What a model says of its own doubt, chosen on answers that are known to be right or wrong."""
