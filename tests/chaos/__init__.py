"""Faults of machines, done to real runs: ``python -m tests.chaos`` (or ``make chaos``).

Each fault is done at moments that a seed draws.  What is measured: how long it takes until
somebody notices, what is lost, which line the user reads, and whether ``--resume`` ends in bitwise
the undisturbed run.  ``tests/chaos/test_chaos.py`` is the short part, which belongs to the tests.
"""
