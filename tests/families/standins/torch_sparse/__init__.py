"""STAND-IN for torch_sparse: fairchem-core 1.10 imports the name; EquiformerV2 never uses it.

Tests alone put it on the path; real runs use the real one.
"""


class SparseTensor:
    """Of GemNet and DimeNet++."""

    def __init__(self, *_, **__):
        raise NotImplementedError("this is a stand-in for torch_sparse, in tests alone")
