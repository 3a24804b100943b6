"""From rows to tables, figures and text."""
