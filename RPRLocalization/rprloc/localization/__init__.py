"""From latent fields to answers: votes, matches, templates, results and how far they can be trusted."""
