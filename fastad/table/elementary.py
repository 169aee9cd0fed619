"""The elementary rows: one opcode each, computed with the C library alone.

The order of the rows is the order of the opcodes. Rows that NumPy, SciPy and `math` do not have (`mulz`, `divz`, `div0`, `logz`,
`gap`) serve the rules of others: each is the plain operation with a limit put in where that would give NaN.
"""

from .op import BALL, POSITIVE, REAL, Op

# Of the angle with these opposite and adjacent sides; by quotients, since squares overflow and vanish. 0 at the origin.
SINE = "div0(x, hypot(x, y))"
COSINE = "div0(y, hypot(x, y))"

ELEMENTARY = (
    # Arithmetic
    Op("add", 2, v="x + y", dx="1.0", dy="1.0", numpy="add"),
    Op("subtract", 2, v="x - y", dx="1.0", dy="-1.0", numpy="subtract"),
    Op("multiply", 2, v="x * y", dx="y", dy="x", dxy="1.0", numpy="multiply"),
    Op("divide", 2, v="x / y", dx="1.0 / y", dy="-v / y", dxy="-1.0 / (y*y)", dyy="2.0*v / (y*y)",
       domain=(REAL, POSITIVE), numpy="divide"),
    Op("negative", 1, v="-x", dx="-1.0", numpy="negative"),
    Op("positive", 1, v="x", dx="1.0", numpy="positive conjugate"),
    Op("stop_gradient", 1, v="x", sym=""),
    Op("power", 2, v="pow(x, y)", dx="mulz(y, x**(y - 1.0))", dy="v*logz(x)",
       dxx="mulz(y*(y - 1.0), x**(y - 2.0))", dxy="x**(y - 1.0)*(1.0 + mulz(y, logz(x)))", dyy="v*logz(x)*logz(x)",
       domain=(POSITIVE, REAL), numpy="power float_power", math="pow", sym="x**y"),
    Op("square", 1, v="x*x", dx="2.0*x", dxx="2.0", numpy="square"),
    Op("reciprocal", 1, v="1.0 / x", dx="-v*v", dxx="2.0*v*v*v", domain=POSITIVE, numpy="reciprocal"),

    # Operations with a limit put in: 0 where a factor, the dividend (divz), the divisor (div0) or the argument (logz) is 0
    Op("mulz", 2, v="mulz(x, y)", dx="y", dy="x", dxy="1.0", sym="x*y"),
    Op("divz", 2, v="divz(x, y)", dx="1.0 / y", dy="divz(-v, y)", dxy="-1.0 / (y*y)", dyy="divz(2.0*v, y*y)",
       domain=(REAL, POSITIVE), sym="x/y"),
    Op("div0", 2, v="div0(x, y)", dx="div0(1.0, y)", dy="div0(-v, y)", dxy="div0(-1.0, y*y)", dyy="div0(2.0*v, y*y)",
       domain=(REAL, POSITIVE), sym="x/y"),
    Op("logz", 1, v="logz(x)", dx="1.0 / x", dxx="-1.0 / (x*x)", domain=POSITIVE, sym="log(x)"),
    Op("gap", 2, v="gap(x, y)", dx="1.0", dy="-1.0", sym="x - y"),

    # Whole parts and remainders
    Op("floor_divide", 2, v="floor_divide(x, y)", domain=(REAL, POSITIVE), numpy="floor_divide", sym=""),
    Op("remainder", 2, v="remainder(x, y)", dx="1.0", dy="rint((v - x) / y)", domain=(REAL, POSITIVE),
       numpy="remainder", sym="Mod(x, y)"),
    Op("fmod", 2, v="fmod(x, y)", dx="1.0", dy="rint((v - x) / y)", domain=(REAL, POSITIVE),
       numpy="fmod", math="fmod", sym=""),
    Op("ieee_remainder", 2, v="ieee_remainder(x, y)", dx="1.0", dy="rint((v - x) / y)", domain=(REAL, POSITIVE),
       math="remainder", sym=""),
    Op("floor", 1, v="floor(x)", kind="integer", numpy="floor", math="floor"),
    Op("ceil", 1, v="ceil(x)", kind="integer", numpy="ceil", math="ceil", sym="ceiling(x)"),
    Op("trunc", 1, v="trunc(x)", kind="integer", numpy="trunc", math="trunc", sym=""),
    Op("rint", 1, v="rint(x)", numpy="rint", scipy="round", sym=""),

    # Signs and selection; ties share the derivative in halves
    Op("absolute", 1, v="fabs(x)", dx="sign(x)", numpy="absolute fabs", math="fabs", sym="Abs(x)"),
    Op("sign", 1, v="sign(x)", numpy="sign"),
    Op("copysign", 2, v="copysign(x, y)", dx="sign(x)*copysign(1.0, y)", numpy="copysign", math="copysign",
       sym="Abs(x)*sign(y)"),
    Op("heaviside", 2, v="heaviside(x, y)", dy="equal(x, 0.0)", numpy="heaviside", sym=""),
    Op("maximum", 2, v="maximum(x, y)", dx="greater(x, y) + 0.5*equal(x, y)", dy="less(x, y) + 0.5*equal(x, y)",
       numpy="maximum", sym="Max(x, y)"),
    Op("minimum", 2, v="minimum(x, y)", dx="less(x, y) + 0.5*equal(x, y)", dy="greater(x, y) + 0.5*equal(x, y)",
       numpy="minimum", sym="Min(x, y)"),
    Op("fmax", 2, v="fmax(x, y)", dx="greater(x, y) + 0.5*equal(x, y) + isnan(y)",
       dy="less(x, y) + 0.5*equal(x, y) + isnan(x)", numpy="fmax", sym="Max(x, y)"),
    Op("fmin", 2, v="fmin(x, y)", dx="less(x, y) + 0.5*equal(x, y) + isnan(y)",
       dy="greater(x, y) + 0.5*equal(x, y) + isnan(x)", numpy="fmin", sym="Min(x, y)"),
    Op("nextafter", 2, v="nextafter(x, y)", dx="1.0", numpy="nextafter", sym=""),
    Op("spacing", 1, v="spacing(x)", numpy="spacing", sym=""),
    Op("ulp", 1, v="fabs(spacing(x)) if fabs(x) < INFINITY else fabs(x)", math="ulp", sym=""),
    Op("ldexp", 2, v="ldexp_double(x, y)", dx="ldexp(1.0, y)", domain=(REAL, (-20.0, 20.0)), numpy="ldexp", math="ldexp",
       sym="", order=(1,)),

    # Decisions: tracked, zero derivative
    Op("greater", 2, v="x > y", kind="boolean", numpy="greater", sym=""),
    Op("greater_equal", 2, v="x >= y", kind="boolean", numpy="greater_equal", sym=""),
    Op("less", 2, v="x < y", kind="boolean", numpy="less", sym=""),
    Op("less_equal", 2, v="x <= y", kind="boolean", numpy="less_equal", sym=""),
    Op("equal", 2, v="x == y", kind="boolean", numpy="equal", sym=""),
    Op("not_equal", 2, v="x != y", kind="boolean", numpy="not_equal", sym=""),
    Op("logical_and", 2, v="x != 0.0 and y != 0.0", kind="boolean", numpy="logical_and", sym=""),
    Op("logical_or", 2, v="x != 0.0 or y != 0.0", kind="boolean", numpy="logical_or", sym=""),
    Op("logical_xor", 2, v="(x != 0.0) != (y != 0.0)", kind="boolean", numpy="logical_xor", sym=""),
    Op("logical_not", 1, v="x == 0.0", kind="boolean", numpy="logical_not", sym=""),
    Op("isnan", 1, v="x != x", kind="boolean", numpy="isnan", sym=""),
    Op("isinf", 1, v="fabs(x) == INFINITY", kind="boolean", numpy="isinf", sym=""),
    Op("isfinite", 1, v="fabs(x) < INFINITY", kind="boolean", numpy="isfinite", sym=""),
    Op("signbit", 1, v="copysign(1.0, x) < 0.0", kind="boolean", numpy="signbit", sym=""),

    # Roots, exponentials and logarithms
    Op("sqrt", 1, v="sqrt(x)", dx="0.5 / v", dxx="-0.25 / (x*v)", domain=POSITIVE, numpy="sqrt", math="sqrt"),
    Op("cbrt", 1, v="cbrt(x)", dx="1.0 / (3.0*v*v)", dxx="-2.0 / (9.0*x*v*v)", numpy="cbrt", scipy="cbrt", math="cbrt",
       sym="real_root(x, 3)"),
    Op("exp", 1, v="exp(x)", dx="v", dxx="v", numpy="exp", math="exp"),
    Op("exp2", 1, v="exp2(x)", dx="LN2*v", dxx="LN2*LN2*v", numpy="exp2", scipy="exp2", math="exp2", sym="2**x"),
    Op("exp10", 1, v="pow(10.0, x)", dx="LN10*v", dxx="LN10*LN10*v", scipy="exp10", sym="10**x"),
    Op("expm1", 1, v="expm1(x)", dx="exp(x)", dxx="exp(x)", numpy="expm1", scipy="expm1", math="expm1",
       sym="exp(x) - 1"),
    Op("log", 1, v="log(x)", dx="1.0 / x", dxx="-1.0 / (x*x)", domain=POSITIVE, numpy="log"),
    Op("log2", 1, v="log2(x)", dx="1.0 / (LN2*x)", dxx="-1.0 / (LN2*x*x)", domain=POSITIVE, numpy="log2", math="log2",
       sym="log(x)/log(2)"),
    Op("log10", 1, v="log10(x)", dx="1.0 / (LN10*x)", dxx="-1.0 / (LN10*x*x)", domain=POSITIVE, numpy="log10",
       math="log10", sym="log(x)/log(10)"),
    Op("log1p", 1, v="log1p(x)", dx="1.0 / (1.0 + x)", dxx="-1.0 / ((1.0 + x)*(1.0 + x))", domain=(-1.0, float("inf")),
       numpy="log1p", scipy="log1p", math="log1p", sym="log(1 + x)"),
    Op("expit", 1, v="expit(x)", dx="v*expit(-x)", dxx="-v*expit(-x)*tanh(0.5*x)", scipy="expit", sym="1/(1 + exp(-x))"),
    Op("logaddexp", 2, v="logaddexp(x, y)", dx="expit(gap(x, y))", dy="expit(gap(y, x))",
       dxx="expit(gap(x, y))*expit(gap(y, x))", dxy="-expit(gap(x, y))*expit(gap(y, x))",
       dyy="expit(gap(x, y))*expit(gap(y, x))", numpy="logaddexp", sym="log(exp(x) + exp(y))"),
    Op("logaddexp2", 2, v="logaddexp2(x, y)", dx="expit(LN2*gap(x, y))", dy="expit(LN2*gap(y, x))",
       dxx="LN2*expit(LN2*gap(x, y))*expit(LN2*gap(y, x))", dxy="-LN2*expit(LN2*gap(x, y))*expit(LN2*gap(y, x))",
       dyy="LN2*expit(LN2*gap(x, y))*expit(LN2*gap(y, x))", numpy="logaddexp2", sym="log(2**x + 2**y)/log(2)"),
    Op("hypot", 2, v="hypot(x, y)", dx="div0(x, v)", dy="div0(y, v)", dxx="div0(div0(y, v)*div0(y, v), v)",
       dxy="div0(-div0(x, v)*div0(y, v), v)", dyy="div0(div0(x, v)*div0(x, v), v)", numpy="hypot", sym="sqrt(x**2 + y**2)"),

    # Circular functions and their inverses
    Op("sin", 1, v="sin(x)", dx="cos(x)", dxx="-v", numpy="sin", math="sin"),
    Op("cos", 1, v="cos(x)", dx="-sin(x)", dxx="-v", numpy="cos", math="cos"),
    Op("tan", 1, v="tan(x)", dx="1.0 + v*v", dxx="2.0*v*(1.0 + v*v)", numpy="tan", math="tan"),
    Op("arcsin", 1, v="asin(x)", dx="1.0 / sqrt((1.0 - x)*(1.0 + x))",
       dxx="x / ((1.0 - x)*(1.0 + x)*sqrt((1.0 - x)*(1.0 + x)))", domain=BALL, numpy="arcsin", math="asin"),
    Op("arccos", 1, v="acos(x)", dx="-1.0 / sqrt((1.0 - x)*(1.0 + x))",
       dxx="-x / ((1.0 - x)*(1.0 + x)*sqrt((1.0 - x)*(1.0 + x)))", domain=BALL, numpy="arccos", math="acos"),
    Op("arctan", 1, v="atan(x)", dx="1.0 / (1.0 + x*x)", dxx="-2.0*x / ((1.0 + x*x)*(1.0 + x*x))", numpy="arctan",
       math="atan"),
    Op("arctan2", 2, v="atan2(x, y)", dx=f"div0({COSINE}, hypot(x, y))", dy=f"-div0({SINE}, hypot(x, y))",
       dxx=f"-2.0*div0(div0({SINE}*{COSINE}, hypot(x, y)), hypot(x, y))",
       dxy=f"div0(div0({SINE}*{SINE} - {COSINE}*{COSINE}, hypot(x, y)), hypot(x, y))",
       dyy=f"2.0*div0(div0({SINE}*{COSINE}, hypot(x, y)), hypot(x, y))", numpy="arctan2", math="atan2", sym="atan2(x, y)"),
    Op("radians", 1, v="DEGREE*x", dx="DEGREE", numpy="radians deg2rad", math="radians", sym="x*pi/180"),
    Op("degrees", 1, v="RADIAN*x", dx="RADIAN", numpy="degrees rad2deg", math="degrees", sym="x*180/pi"),

    # Hyperbolic functions and their inverses
    Op("sinh", 1, v="sinh(x)", dx="cosh(x)", dxx="v", numpy="sinh", math="sinh"),
    Op("cosh", 1, v="cosh(x)", dx="sinh(x)", dxx="v", numpy="cosh", math="cosh"),
    Op("tanh", 1, v="tanh(x)", dx="1.0 - v*v", dxx="-2.0*v*(1.0 - v*v)", numpy="tanh", math="tanh"),
    Op("arcsinh", 1, v="asinh(x)", dx="1.0 / hypot(1.0, x)",
       dxx="-x / (hypot(1.0, x)*hypot(1.0, x)*hypot(1.0, x))", numpy="arcsinh", math="asinh"),
    Op("arccosh", 1, v="acosh(x)", dx="1.0 / sqrt((x - 1.0)*(x + 1.0))",
       dxx="-x / ((x - 1.0)*(x + 1.0)*sqrt((x - 1.0)*(x + 1.0)))", domain=(1.0, float("inf")), numpy="arccosh",
       math="acosh"),
    Op("arctanh", 1, v="atanh(x)", dx="1.0 / ((1.0 - x)*(1.0 + x))",
       dxx="2.0*x / ((1.0 - x)*(1.0 + x)*(1.0 - x)*(1.0 + x))", domain=BALL, numpy="arctanh", math="atanh"),

    # The error function
    Op("erf", 1, v="erf(x)", dx="TWO_OVER_SQRT_PI*exp(-x*x)", dxx="-2.0*TWO_OVER_SQRT_PI*x*exp(-x*x)", scipy="erf",
       math="erf"),
    Op("erfc", 1, v="erfc(x)", dx="-TWO_OVER_SQRT_PI*exp(-x*x)", dxx="2.0*TWO_OVER_SQRT_PI*x*exp(-x*x)", scipy="erfc",
       math="erfc"),
)
