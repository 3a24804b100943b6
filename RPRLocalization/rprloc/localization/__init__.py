"""From latent fields to answers.

Votes, matches, templates, results and how far they can be trusted.
"""
