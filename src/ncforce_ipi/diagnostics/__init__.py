"""Non-conservation measured before a run: Jacobian, closed loops, pairs for MTS, optimisation."""
