"""Several processes that train one run: who they are, what each computes, and what they tell each other."""
