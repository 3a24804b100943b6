"""The qMRML widgets that the modules use, over the real scene."""
