"""i-PI and drivers as supervised processes.

The files here are the verbs: run, compare, replicas.  What they are made of lies in rooms.
"""
