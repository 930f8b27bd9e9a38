"""i-PI's own process: the words that start it, where it listens, and what we add to it."""
