"""Compact hybrid models: architecture, training, export to metatomic.  Imports torch."""
