"""The networks: their shape, cards, files, and the latent field that they make of a volume."""
