"""One file per model family; the only place where a model library is imported.

Each family has ``add_arguments(parser)`` for its own options and ``load(args) -> Backend`` in the
file of its name; what is separable of it is in a file beside it (``orb_network``).  ``loading``,
``options`` and ``conversion`` are what families share.  Installed as ``ncforce_ipi.drivers``.
"""
