"""The training CTs registered to their own mean, for pairs of patients."""
