"""Language models, for whoever asks one: the planner and the interpreter."""
