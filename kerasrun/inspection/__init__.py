"""A look at data before anything is trained on them: what there is, and what is wrong with it."""
