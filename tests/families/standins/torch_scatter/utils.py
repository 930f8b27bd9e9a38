"""STAND-IN, see the package."""


def broadcast(*_):
    """Of GemNet."""
    raise NotImplementedError("this stand-in for torch_scatter has no broadcast")
