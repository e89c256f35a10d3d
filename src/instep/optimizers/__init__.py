"""The optimizers, a module for each family."""

from typing import TYPE_CHECKING

from . import adam, adaptive, moments, nadam, sgd, sign, trust
from .adam import *
from .adaptive import *
from .moments import *
from .nadam import *
from .sgd import *
from .sign import *
from .trust import *

_names = [
    name for module in (adam, adaptive, moments, nadam, sgd, sign, trust) for name in module.__all__
]

if not TYPE_CHECKING:  # mypy cannot compute it, and would take nothing from here
    __all__ = [*_names]  # noqa: PLE0604
