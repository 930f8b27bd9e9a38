"""The directory of a run: who holds it, what is moved aside, and from where a run goes on."""
