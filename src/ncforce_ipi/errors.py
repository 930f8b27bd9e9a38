"""The errors that a user can cause and mend.  A message says what, got, expected, next step."""


class NcforceError(Exception):
    """Anything that ends a command with one line instead of a traceback."""


class InputError(NcforceError):
    """An argument, file or combination of them that can't be used."""


class ProtocolError(NcforceError):
    """The other end of a socket broke i-PI's protocol or went away."""


class ModelError(NcforceError):
    """A model that can't be loaded, or lacks what was asked of it, or gave a non-finite number."""


class OutputError(ModelError):
    """A model that gave nothing that can be used, and would do so again: no crash, but a fault."""


class ContractError(NcforceError):
    """A family of models that breaks the contract which ``ncforce_ipi.testing`` checks."""


class RunError(NcforceError):
    """A run that ended before its last step."""
