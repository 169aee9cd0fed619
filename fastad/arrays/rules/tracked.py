"""NumPy functions whose results have derivative zero: computed on plain values, and anew in a replay.

A name that the installed NumPy does not have is left out.
"""

import numpy as np

_GROUPS = {
    "Positions of elements: they jump where elements change places and are constant between.":
        "argmax argmin nanargmax nanargmin argsort argpartition lexsort searchsorted digitize nonzero "
        "flatnonzero argwhere unravel_index ravel_multi_index ix_",
    "Numbers of elements that satisfy something.":
        "count_nonzero linalg.matrix_rank",
    "Decisions about all elements.":
        "all any allclose array_equal array_equiv",
    "Decisions about every element.":
        "isclose isneginf isposinf isreal iscomplex isin in1d",
    "Whole parts and rounding: steps with derivative zero between the jumps; at a jump zero as well.":
        "round around fix",
    "Bits of integers.":
        "packbits unpackbits",
    "Shape, type and storage, which do not depend on values.":
        "shape ndim size iscomplexobj isrealobj result_type can_cast common_type min_scalar_type "
        "may_share_memory shares_memory einsum_path",
    "Indices made from a shape.":
        "diag_indices_from tril_indices_from triu_indices_from",
    "Text for people to read.":
        "array2string array_repr array_str",
}


def _find(name):
    found = np
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def _listed(names):
    functions = (_find(name) for name in names.split())
    return frozenset(f for f in functions if f is not None)


# The groups, each a sentence with its functions, and all functions together.
TRACKED_GROUPS = {reason: _listed(names) for reason, names in _GROUPS.items()}
TRACKED = frozenset().union(*TRACKED_GROUPS.values())
