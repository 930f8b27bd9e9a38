"""A calculator by a function: CHGNet's class takes a network, JSON can't say which."""


def calculator(model_name, use_device, verbose):
    """CHGNet's calculator of one of the networks in its wheel."""
    from chgnet.model import CHGNet
    from chgnet.model.dynamics import CHGNetCalculator

    network = CHGNet.load(model_name=model_name, use_device=use_device, verbose=verbose)
    return CHGNetCalculator(network, use_device=use_device)
