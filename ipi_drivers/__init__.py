"""One file per model family; the only place where a model library is imported.

Each file has ``add_arguments(parser)`` for its own options and ``load(args) -> Backend``.
Installed as ``ncforce_ipi.drivers``.
"""
