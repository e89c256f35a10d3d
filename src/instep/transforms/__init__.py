"""Transforms of the gradients in flight, between the caller's arrays and the update.

They run in the order given, on the gradient as the caller passed it, and never write it.
"""

from .base import Context, Native, Transform, check
from .clip import AdaptiveClip, ClipByGlobalNorm, ClipByNorm, ClipByRowNorm, ClipByValue
from .linear import Centralize, Scale, Standardize
from .noise import AddNoise

__all__ = [
    "AdaptiveClip",
    "AddNoise",
    "Centralize",
    "ClipByGlobalNorm",
    "ClipByNorm",
    "ClipByRowNorm",
    "ClipByValue",
    "Context",
    "Native",
    "Scale",
    "Standardize",
    "Transform",
    "check",
]
