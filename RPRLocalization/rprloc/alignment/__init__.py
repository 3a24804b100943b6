"""Where two CTs show the same part of the body, without a network: tissue in cells of 12 mm."""
