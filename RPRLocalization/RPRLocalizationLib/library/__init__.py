"""Files that the user can choose: CTs, models, templates."""
