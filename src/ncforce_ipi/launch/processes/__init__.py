"""Child processes: how one is started, and what tells it to stop, by signal or by wall time."""
