"""Rows of scipy.special for orthogonal polynomials, differentiated by their argument; degrees and parameters
have no rules.

A derivative lowers the degree by one, and SciPy's functions of a negative degree are not all zero: `mulz`
with a factor that vanishes there keeps them out.
"""

from .op import BALL, REAL, UNIT, Op
from .unknown import unknown

# SciPy has recurrences for whole degrees, which are exact where its hypergeometric series are not.
WHOLE = "special.eval_{0}(count(x), {1}) if is_whole(x) else special.eval_{0}(x, {1})"

DEGREE = (0.0, 6.0)
SHAPE = (0.0, 4.0)


def polynomial(name, sym, first, second, domain):
    """The row of a polynomial of degree x and argument y."""
    return Op(f"eval_{name}", 2, v=WHOLE.format(name, "y"), dy=first, dyy=second, **unknown("x", 2),
              domain=(DEGREE, domain), order=(0,), scipy=f"eval_{name}", sym=sym)


POLYNOMIAL = (
    polynomial("legendre", "legendre(x, y)", "0.5*(x + 1.0)*eval_jacobi(x - 1.0, 1.0, 1.0, y)",
               "0.25*(x + 1.0)*(x + 2.0)*eval_jacobi(x - 2.0, 2.0, 2.0, y)", BALL),
    polynomial("sh_legendre", "legendre(x, 2*y - 1)", "(x + 1.0)*eval_jacobi(x - 1.0, 1.0, 1.0, 2.0*y - 1.0)",
               "(x + 1.0)*(x + 2.0)*eval_jacobi(x - 2.0, 2.0, 2.0, 2.0*y - 1.0)", UNIT),
    polynomial("chebyt", "chebyshevt(x, y)", "mulz(x, eval_chebyu(x - 1.0, y))",
               "mulz(2.0*x, eval_gegenbauer(x - 2.0, 2.0, y))", BALL),
    polynomial("chebyu", "chebyshevu(x, y)", "2.0*eval_gegenbauer(x - 1.0, 2.0, y)",
               "mulz(8.0*not_equal(x, 0.0), eval_gegenbauer(x - 2.0, 3.0, y))", BALL),
    polynomial("chebyc", "2*chebyshevt(x, y/2)", "mulz(x, eval_chebys(x - 1.0, y))",
               "mulz(x, eval_gegenbauer(x - 2.0, 2.0, 0.5*y))", (-2.0, 2.0)),
    polynomial("chebys", "chebyshevu(x, y/2)", "eval_gegenbauer(x - 1.0, 2.0, 0.5*y)",
               "mulz(2.0*not_equal(x, 0.0), eval_gegenbauer(x - 2.0, 3.0, 0.5*y))", (-2.0, 2.0)),
    polynomial("sh_chebyt", "chebyshevt(x, 2*y - 1)", "mulz(2.0*x, eval_sh_chebyu(x - 1.0, y))",
               "mulz(8.0*x, eval_gegenbauer(x - 2.0, 2.0, 2.0*y - 1.0))", UNIT),
    polynomial("sh_chebyu", "chebyshevu(x, 2*y - 1)", "4.0*eval_gegenbauer(x - 1.0, 2.0, 2.0*y - 1.0)",
               "mulz(32.0*not_equal(x, 0.0), eval_gegenbauer(x - 2.0, 3.0, 2.0*y - 1.0))", UNIT),
    polynomial("laguerre", "laguerre(x, y)", "mulz(-not_equal(x, 0.0), eval_genlaguerre(x - 1.0, 1.0, y))",
               "mulz(not_equal(x, 0.0)*not_equal(x, 1.0), eval_genlaguerre(x - 2.0, 2.0, y))", REAL),
    Op("eval_hermite", 2, v="special.eval_hermite(count(x), y) if is_whole(x) else NAN",
       dy="mulz(2.0*x, eval_hermite(x - 1.0, y))", dyy="mulz(4.0*x*(x - 1.0), eval_hermite(x - 2.0, y))",
       **unknown("x", 2), domain=(DEGREE, REAL), order=(0,), scipy="eval_hermite", sym="hermite(x, y)"),
    Op("eval_hermitenorm", 2, v="special.eval_hermitenorm(count(x), y) if is_whole(x) else NAN",
       dy="mulz(x, eval_hermitenorm(x - 1.0, y))", dyy="mulz(x*(x - 1.0), eval_hermitenorm(x - 2.0, y))",
       **unknown("x", 2), domain=(DEGREE, REAL), order=(0,), scipy="eval_hermitenorm",
       sym="2**(-x/2)*hermite(x, y/sqrt(2))"),
    Op("eval_genlaguerre", 3, v=WHOLE.format("genlaguerre", "y, z"),
       dz="mulz(-not_equal(x, 0.0), eval_genlaguerre(x - 1.0, y + 1.0, z))",
       dzz="mulz(not_equal(x, 0.0)*not_equal(x, 1.0), eval_genlaguerre(x - 2.0, y + 2.0, z))",
       **unknown("xy", 3), domain=(DEGREE, SHAPE, REAL), order=(0,), scipy="eval_genlaguerre",
       sym="assoc_laguerre(x, y, z)"),
    Op("eval_gegenbauer", 3, v=WHOLE.format("gegenbauer", "y, z"),
       dz="mulz(2.0*y*not_equal(x, -1.0), eval_gegenbauer(x - 1.0, y + 1.0, z))",
       dzz="mulz(4.0*y*(y + 1.0)*not_equal(x, 0.0)*not_equal(x, -1.0), eval_gegenbauer(x - 2.0, y + 2.0, z))",
       **unknown("xy", 3), domain=(DEGREE, SHAPE, BALL), order=(0,), scipy="eval_gegenbauer",
       sym="gegenbauer(x, y, z)"),
    Op("eval_jacobi", 4, v=WHOLE.format("jacobi", "y, z, u"),
       du="0.5*(x + y + z + 1.0)*eval_jacobi(x - 1.0, y + 1.0, z + 1.0, u)",
       duu="0.25*(x + y + z + 1.0)*(x + y + z + 2.0)*eval_jacobi(x - 2.0, y + 2.0, z + 2.0, u)",
       **unknown("xyz", 4), domain=(DEGREE, SHAPE, SHAPE, BALL), order=(0,), scipy="eval_jacobi",
       sym="jacobi(x, y, z, u)"),
    Op("eval_sh_jacobi", 4, v=WHOLE.format("sh_jacobi", "y, z, u"),
       du="mulz(x, eval_sh_jacobi(x - 1.0, y + 2.0, z + 1.0, u))",
       duu="mulz(x*(x - 1.0), eval_sh_jacobi(x - 2.0, y + 4.0, z + 2.0, u))", **unknown("xyz", 4),
       domain=(DEGREE, (3.0, 5.0), (0.5, 3.0), UNIT), order=(0,), scipy="eval_sh_jacobi",
       sym="jacobi(x, y - z, z - 1, 2*u - 1)*gamma(x + 1)*gamma(x + y)/gamma(2*x + y)"),
)
