"""Transforms of the gradients in flight, between the caller's arrays and the update.

They run in the order given, on the gradient as the caller passed it, and never write it.
"""

from .base import Clipped, Transform, check
from .clip import AdaptiveClip, ClipByGlobalNorm, ClipByNorm, ClipByRowNorm, ClipByValue
from .linear import Centralize, Scale, Standardize

__all__ = [
    "AdaptiveClip",
    "Centralize",
    "ClipByGlobalNorm",
    "ClipByNorm",
    "ClipByRowNorm",
    "ClipByValue",
    "Clipped",
    "Scale",
    "Standardize",
    "Transform",
    "check",
]
