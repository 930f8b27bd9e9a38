"""What is asked for: a run and its drivers as words that start them, and as ``run.json``."""
