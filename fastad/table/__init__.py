"""The op table: every elemental in one row, and nothing about it anywhere else."""

from .elementary import ELEMENTARY
from .op import CONSTANTS, OPERANDS, UNKNOWN, Op
from .special import SPECIAL

__all__ = ["CONSTANTS", "ELEMENTARY", "OPERANDS", "SPECIAL", "UNKNOWN", "Op"]
