"""Rows of scipy.special for hypergeometric functions and the solutions of Legendre's, Mathieu's, Weber's and
the spheroidal equations, differentiated by their argument."""

from .op import BALL, INF, POSITIVE, REAL, Op
from .unknown import unknown

_HYPER = (
    Op("hyp0f1", 2, v="special.hyp0f1(x, y)", dy="hyp0f1(x + 1.0, y) / x",
       dyy="hyp0f1(x + 2.0, y) / (x*(x + 1.0))", **unknown("x", 2), domain=((0.0, 6.0), REAL), scipy="hyp0f1",
       sym="hyper([], [x], y)"),
    Op("hyp1f1", 3, v="special.hyp1f1(x, y, z)", dz="x / y*hyp1f1(x + 1.0, y + 1.0, z)",
       dzz="x*(x + 1.0) / (y*(y + 1.0))*hyp1f1(x + 2.0, y + 2.0, z)", **unknown("xy", 3),
       domain=((0.0, 4.0), (0.0, 6.0), REAL), scipy="hyp1f1", sym="hyper([x], [y], z)"),
    Op("hyp2f1", 4, v="special.hyp2f1(x, y, z, u)", du="x*y / z*hyp2f1(x + 1.0, y + 1.0, z + 1.0, u)",
       duu="x*(x + 1.0)*y*(y + 1.0) / (z*(z + 1.0))*hyp2f1(x + 2.0, y + 2.0, z + 2.0, u)",
       **unknown("xyz", 4), domain=((0.0, 3.0), (0.0, 3.0), (0.0, 6.0), (-INF, 1.0)), scipy="hyp2f1",
       sym="hyper([x, y], [z], u)"),
    Op("hyperu", 3, v="special.hyperu(x, y, z)", dz="-x*hyperu(x + 1.0, y + 1.0, z)",
       dzz="x*(x + 1.0)*hyperu(x + 2.0, y + 2.0, z)", **unknown("xy", 3),
       domain=((0.0, 4.0), (0.0, 4.0), POSITIVE), scipy="hyperu", sym="hyperu(x, y, z)"),
    Op("wright_bessel", 3, v="special.wright_bessel(x, y, z)", dz="wright_bessel(x, x + y, z)",
       dzz="wright_bessel(x, 2.0*x + y, z)", **unknown("xy", 3), domain=((0.0, 4.0), (0.0, 4.0), (0.0, 10.0)),
       scipy="wright_bessel", sym="Sum(z**t/(factorial(t)*gamma(x*t + y)), (t, 0, 80))"),
    Op("log_wright_bessel", 3, v="special.log_wright_bessel(x, y, z)",
       dz="exp(log_wright_bessel(x, x + y, z) - v)",
       dzz="exp(log_wright_bessel(x, 2.0*x + y, z) - v) - exp(2.0*(log_wright_bessel(x, x + y, z) - v))",
       **unknown("xy", 3), domain=((0.0, 4.0), (0.0, 4.0), (0.0, 10.0)), scipy="log_wright_bessel",
       sym="log(Sum(z**t/(factorial(t)*gamma(x*t + y)), (t, 0, 80)))"),
    Op("lpmv", 3, v="special.lpmv(x, y, z)",
       dz="((x + y)*lpmv(x, y - 1.0, z) - y*z*v) / ((1.0 - z)*(1.0 + z))",
       dzz="(2.0*z*((x + y)*lpmv(x, y - 1.0, z) - y*z*v) / ((1.0 - z)*(1.0 + z)) + (x*x / ((1.0 - z)*(1.0"
           " + z)) - y*(y + 1.0))*v) / ((1.0 - z)*(1.0 + z))", **unknown("xy", 3),
       domain=((0.0, 2.0), (2.0, 5.0), BALL), order=(0,), scipy="lpmv", sym="legenp(y, x, z)"),

    # Weber's equation: w'' = (y*y/4 - x - 1/2) w for D and V, w'' = (x - y*y/4) w for W; each function and
    # its derivative
    Op("pbdv_0", 2, v="output_2_2(special.pbdv, 0, x, y)", dy="pbdv_1(x, y)", dyy="(0.25*y*y - x - 0.5)*v",
       **unknown("x", 2), domain=((-3.0, 3.0), (-5.0, 5.0)), scipy="pbdv:0", sym="pcfd(x, y)"),
    Op("pbdv_1", 2, v="output_2_2(special.pbdv, 1, x, y)", dy="(0.25*y*y - x - 0.5)*pbdv_0(x, y)",
       dyy="(0.25*y*y - x - 0.5)*v + 0.5*y*pbdv_0(x, y)", **unknown("x", 2),
       domain=((-3.0, 3.0), (-5.0, 5.0)), scipy="pbdv:1", sym="y*pcfd(x, y)/2 - pcfd(x + 1, y)"),
    Op("pbvv_0", 2, v="output_2_2(special.pbvv, 0, x, y)", dy="pbvv_1(x, y)", dyy="(0.25*y*y - x - 0.5)*v",
       **unknown("x", 2), domain=((-3.0, 3.0), (-5.0, 5.0)), scipy="pbvv:0",
       sym="pcfv(-x - Rational(1, 2), y)"),
    Op("pbvv_1", 2, v="output_2_2(special.pbvv, 1, x, y)", dy="(0.25*y*y - x - 0.5)*pbvv_0(x, y)",
       dyy="(0.25*y*y - x - 0.5)*v + 0.5*y*pbvv_0(x, y)", **unknown("x", 2),
       domain=((-3.0, 3.0), (-5.0, 5.0)), scipy="pbvv:1", sym=""),
    Op("pbwa_0", 2, v="output_2_2(special.pbwa, 0, x, y)", dy="pbwa_1(x, y)", dyy="(x - 0.25*y*y)*v",
       **unknown("x", 2), domain=((-3.0, 3.0), (-4.0, 4.0)), scipy="pbwa:0", sym="pcfw(x, y)"),
    Op("pbwa_1", 2, v="output_2_2(special.pbwa, 1, x, y)", dy="(x - 0.25*y*y)*pbwa_0(x, y)",
       dyy="(x - 0.25*y*y)*v - 0.5*y*pbwa_0(x, y)", **unknown("x", 2), domain=((-3.0, 3.0), (-4.0, 4.0)),
       scipy="pbwa:1", sym=""),

    # Characteristic values, which the equations below need; no rules of their own
    Op("mathieu_a", 2, v="special.mathieu_a(x, y)", **unknown("xy", 2), domain=((0.0, 4.0), (0.0, 5.0)),
       order=(0,), scipy="mathieu_a", sym=""),
    Op("mathieu_b", 2, v="special.mathieu_b(x, y)", **unknown("xy", 2), domain=((1.0, 4.0), (0.0, 5.0)),
       order=(0,), scipy="mathieu_b", sym=""),
    Op("pro_cv", 3, v="special.pro_cv(x, y, z)", **unknown("xyz", 3),
       domain=((0.0, 2.0), (2.0, 4.0), (0.0, 4.0)), order=(0, 1), scipy="pro_cv", sym=""),
    Op("obl_cv", 3, v="special.obl_cv(x, y, z)", **unknown("xyz", 3),
       domain=((0.0, 2.0), (2.0, 4.0), (0.0, 4.0)), order=(0, 1), scipy="obl_cv", sym=""),
)


def mathieu(name, value, sign, circle, slope, unit, domain):
    """The two rows of a Mathieu function and its derivative by z: w'' = sign*(value - 2 y circle(2z)) w, with
    z counted in `unit` radians and `slope` the derivative of circle."""
    curve = f"({sign}*{unit}*({value}(x, y) - 2.0*y*{circle}(2.0*{unit}*z)))"
    change = f"(-4.0*{sign}*{unit}*{unit}*y*{slope}(2.0*{unit}*z))"
    shared = unknown("xy", 3) | {"domain": domain, "order": (0,), "sym": ""}
    return (
        Op(f"{name}_0", 3, v=f"output_2_3(special.{name}, 0, x, y, z)", dz=f"{unit}*{name}_1(x, y, z)",
           dzz=f"{unit}*{curve}*v", scipy=f"{name}:0", **shared),
        Op(f"{name}_1", 3, v=f"output_2_3(special.{name}, 1, x, y, z)", dz=f"{curve}*{name}_0(x, y, z)",
           dzz=f"{unit}*{curve}*v + {change}*{name}_0(x, y, z)", scipy=f"{name}:1", **shared),
    )


def spheroidal(name, value, side, sign, domain):
    """The two rows of a spheroidal function and its derivative by u: with p = 1 - side*u*u and
    g = value - sign*z*z*u*u - x*x/p, w'' = side*(2 u w' - g w)/p."""
    p = f"(1.0 - {side}*u*u)"
    g = f"({value}(x, y, z) - {sign}*z*z*u*u - x*x / {p})"
    change = f"(-2.0*u*({sign}*z*z + {side}*x*x / ({p}*{p})))"
    w, slope = f"{name}_0(x, y, z, u)", f"{name}_1(x, y, z, u)"
    curve = f"({side}*(2.0*u*{{}} - {g}*{{}}) / {p})"
    shared = unknown("xyz", 4) | {"domain": domain, "order": (0, 1), "sym": ""}
    return (
        Op(f"{name}_0", 4, v=f"output_2_4(special.{name}, 0, x, y, z, u)", du=slope,
           duu=curve.format(slope, "v"), scipy=f"{name}:0", **shared),
        Op(f"{name}_1", 4, v=f"output_2_4(special.{name}, 1, x, y, z, u)", du=curve.format("v", w),
           duu=f"{side}*((2.0 - {g})*v + 4.0*u*{curve.format('v', w)} - {change}*{w}) / {p}",
           scipy=f"{name}:1", **shared),
    )


ORDERS, PARAMETERS = (0.0, 2.0), (2.0, 4.0)
EVEN = ((0.0, 4.0), (0.0, 5.0), (0.0, 2.0))
ODD = ((1.0, 4.0), (0.0, 5.0), (0.0, 2.0))
CIRCLE_EVEN = ((0.0, 4.0), (0.0, 5.0), (-180.0, 180.0))
CIRCLE_ODD = ((1.0, 4.0), (0.0, 5.0), (-180.0, 180.0))

HYPER = (
    *_HYPER,
    *mathieu("mathieu_cem", "mathieu_a", "-1.0", "cos", "-sin", "DEGREE", CIRCLE_EVEN),
    *mathieu("mathieu_sem", "mathieu_b", "-1.0", "cos", "-sin", "DEGREE", CIRCLE_ODD),
    *mathieu("mathieu_modcem1", "mathieu_a", "1.0", "cosh", "sinh", "1.0", EVEN),
    *mathieu("mathieu_modcem2", "mathieu_a", "1.0", "cosh", "sinh", "1.0", EVEN),
    *mathieu("mathieu_modsem1", "mathieu_b", "1.0", "cosh", "sinh", "1.0", ODD),
    *mathieu("mathieu_modsem2", "mathieu_b", "1.0", "cosh", "sinh", "1.0", ODD),
    *spheroidal("pro_ang1", "pro_cv", "1.0", "1.0", (ORDERS, PARAMETERS, (0.0, 4.0), BALL)),
    *spheroidal("obl_ang1", "obl_cv", "1.0", "-1.0", (ORDERS, PARAMETERS, (0.0, 4.0), BALL)),
    *spheroidal("pro_rad1", "pro_cv", "1.0", "1.0", (ORDERS, PARAMETERS, (0.5, 4.0), (1.0, INF))),
    *spheroidal("obl_rad1", "obl_cv", "-1.0", "1.0", (ORDERS, PARAMETERS, (0.5, 4.0), POSITIVE)),
)
