"""One file per model family; the only place where a model library is imported.

Each family has ``load(model, *, device, dtype, threads, trust, ...) -> Backend`` in the file of its
name, whose further keywords are the family's own options; what is separable of it is in a file
beside it (``orb_network``).  ``loading``, ``options`` and ``conversion`` are what families share.
``README.md`` says how to add one.  Installed as ``ncforce_ipi.drivers``.
"""
