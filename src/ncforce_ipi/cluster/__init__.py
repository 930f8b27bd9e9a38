"""Job scripts for a scheduler: what a run needs of a cluster, and the text that asks for it.

Knows Slurm's words, and of a run only its job and the words that start it.  Starts nothing.
"""
