"""The optimizers, a module for each family."""

from .adam import Adam, AdamW
from .adaptive import Adadelta, Adagrad, RMSprop
from .moments import AdaBelief, Adamax, Yogi
from .nadam import NAdam, RAdam
from .sgd import ASGD, SGD
from .sign import Lion, Rprop
from .trust import LAMB, LARS

__all__ = [
    "ASGD",
    "LAMB",
    "LARS",
    "SGD",
    "AdaBelief",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Lion",
    "NAdam",
    "RAdam",
    "RMSprop",
    "Rprop",
    "Yogi",
]
