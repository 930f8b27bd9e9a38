"""Molecular dynamics with direct and conservative machine-learned forces in i-PI.

i-PI integrates; our drivers serve a *slow* (conservative) and a *fast* (direct) force component
over i-PI's socket protocol; i-PI's multiple-time-step integrator combines them.
"""

__version__ = "0.1.0"
