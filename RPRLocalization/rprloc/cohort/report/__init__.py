"""The report of a cohort: one HTML file, the improbable answers first, to accept or reject."""
