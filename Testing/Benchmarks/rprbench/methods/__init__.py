"""Everything that is compared: ours, the paper's, and what else a user could do."""
