"""Training of RPR-Loc models (coarse and fine Pnet) from unannotated CTs."""
