"""What ``import ncforce_ipi`` offers: models, runs, and their results.  Owns no computation.

Each function calls what the command line calls.
"""
