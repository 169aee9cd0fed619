"""The rows of scipy.special: they share one opcode, and their module is loaded when the first of them is called.

The value is SciPy's own scalar function (`scipy.special.cython_special`, called as `special.NAME`).
"""

from .op import BALL, POSITIVE, REAL, UNIT, UNKNOWN, Op

SPECIAL = (
    Op("psi", 1, v="special.psi(x)", dx="polygamma(1.0, x)", dxx="polygamma(2.0, x)", domain=POSITIVE, scipy="psi",
       sym="digamma(x)"),
    Op("polygamma", 2, v="polygamma(x, y)", dx=UNKNOWN, dy="polygamma(x + 1.0, y)", dyy="polygamma(x + 2.0, y)",
       domain=((0.0, 6.0), POSITIVE), order=(0,)),
    Op("gamma", 1, v="special.gamma(x)", dx="v*psi(x)", dxx="v*(psi(x)*psi(x) + polygamma(1.0, x))", domain=POSITIVE,
       scipy="gamma"),
    Op("gammaln", 1, v="special.gammaln(x)", dx="psi(x)", dxx="polygamma(1.0, x)", domain=POSITIVE, scipy="gammaln",
       sym="loggamma(x)"),
    Op("xlogy", 2, v="special.xlogy[double](x, y)", dx="logz(y)", dy="divz(x, y)", dxy="1.0 / y", dyy="divz(-x, y*y)",
       domain=POSITIVE, scipy="xlogy", sym="x*log(y)"),
)
