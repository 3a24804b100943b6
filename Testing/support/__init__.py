"""What tests of several tiers share: phantoms, models, fakes and drivers of the panels."""
