"""The rows of scipy.special: they share one opcode, and their module is loaded when the first of them is
called.

The value is SciPy's own scalar function (`scipy.special.cython_special`, called as `special.NAME`) or, for
outputs of functions with several and for functions SciPy lacks, a helper of `special_support.pxd`.
`scipy="sici:0"` is output 0 of `sici`.
"""

from .special_basic import BASIC
from .special_bessel import BESSEL
from .special_distribution import DISTRIBUTION
from .special_elliptic import ELLIPTIC
from .special_error import ERROR
from .special_gamma import GAMMA
from .special_hyper import HYPER
from .special_polynomial import POLYNOMIAL

SPECIAL = (*BASIC, *ERROR, *GAMMA, *BESSEL, *ELLIPTIC, *HYPER, *POLYNOMIAL, *DISTRIBUTION)

_COMPLEX = "its values are complex"
_COUNT = "solves for a count or for degrees of freedom, by which the distribution function has no rule"
_SHAPE = "solves for a shape parameter, by which the distribution function has no rule"
_FIVE = "five operands; the function without _cv takes the characteristic value from its parameters"
_WRONG = "for some orders SciPy's value and slope contradict each other or the Wronskian with the first kind"

# Functions of scipy.special that are no row, and why.
NOT_COVERED = {
    "hankel1": _COMPLEX, "hankel1e": _COMPLEX, "hankel2": _COMPLEX, "hankel2e": _COMPLEX, "kelvin": _COMPLEX,
    "modfresnelm": _COMPLEX, "modfresnelp": _COMPLEX, "wofz": _COMPLEX,
    "bdtrik": _COUNT, "bdtrin": _COUNT, "nbdtrik": _COUNT, "nbdtrin": _COUNT, "pdtrik": _COUNT,
    "chdtriv": _COUNT, "chndtridf": _COUNT, "fdtridfd": _COUNT, "ncfdtridfd": _COUNT, "ncfdtridfn": _COUNT,
    "nctdtridf": _COUNT, "stdtridf": _COUNT, "btdtria": _SHAPE, "btdtrib": _SHAPE, "gdtrib": _SHAPE,
    "obl_ang1_cv": _FIVE, "obl_rad1_cv": _FIVE, "obl_rad2_cv": _FIVE, "pro_ang1_cv": _FIVE,
    "pro_rad1_cv": _FIVE, "pro_rad2_cv": _FIVE, "obl_rad2": _WRONG, "pro_rad2": _WRONG,
}
