"""Training data for a model of one's own: texts as its profile asks about them, with the answers that are right."""
