"""Rows of scipy.special around exp(x*x): error functions, the normal distribution, Dawson's integral,
exponential, trigonometric and Fresnel integrals."""

from .op import BALL, INF, POSITIVE, REAL, UNIT, Op
from .unknown import unknown

# The argument of erfcx where the normal distribution uses it.
Z = "(-SQRT_HALF*x)"
VZ = "(-SQRT_HALF*v)"

# Ratio of the normal density to the distribution function, exact in the lower tail.
HAZARD = f"(SQRT_2_OVER_PI / erfcx({Z}))"

ERROR = (
    # The error function's relatives
    Op("erfcx", 1, v="special.erfcx(x)", dx="-2.0*erfcx_integral(1.0, x)", dxx="8.0*erfcx_integral(2.0, x)",
       scipy="erfcx", sym="exp(x**2)*erfc(x)"),
    # exp(y*y) times the x-th repeated integral of erfc
    Op("erfcx_integral", 2, v="erfcx_integral(x, y)", dy="-2.0*(x + 1.0)*erfcx_integral(x + 1.0, y)",
       dyy="4.0*(x + 1.0)*(x + 2.0)*erfcx_integral(x + 2.0, y)", **unknown("x", 2), domain=((0.0, 4.0), REAL),
       order=(0,),
       sym="hyper([(x + 1)/2], [Rational(1, 2)], y**2)/(2**x*gamma(x/2 + 1)) - 2*y*hyper([x/2"
           " + 1], [Rational(3, 2)], y**2)/(2**x*gamma((x + 1)/2))"),
    Op("erfi", 1, v="special.erfi(x)", dx="TWO_OVER_SQRT_PI*exp(x*x)", dxx="2.0*TWO_OVER_SQRT_PI*x*exp(x*x)",
       scipy="erfi"),
    Op("erfinv", 1, v="special.erfinv(x)", dx="exp(v*v) / TWO_OVER_SQRT_PI",
       dxx="2.0*v*exp(2.0*v*v) / (TWO_OVER_SQRT_PI*TWO_OVER_SQRT_PI)", domain=BALL, scipy="erfinv"),
    Op("erfcinv", 1, v="special.erfcinv(x)", dx="-exp(v*v) / TWO_OVER_SQRT_PI",
       dxx="2.0*v*exp(2.0*v*v) / (TWO_OVER_SQRT_PI*TWO_OVER_SQRT_PI)", domain=(0.0, 2.0), scipy="erfcinv"),
    Op("dawsn", 1, v="special.dawsn(x)", dx="dawsn_derivative(1.0, x)", dxx="dawsn_derivative(2.0, x)",
       scipy="dawsn", sym="sqrt(pi)*exp(-x**2)*erfi(x)/2"),
    # The x-th derivative of Dawson's integral
    Op("dawsn_derivative", 2, v="dawsn_derivative(x, y)", dy="dawsn_derivative(x + 1.0, y)",
       dyy="dawsn_derivative(x + 2.0, y)", **unknown("x", 2), domain=((0.0, 4.0), REAL), order=(0,),
       sym="Derivative(sqrt(pi)*exp(-y**2)*erfi(y)/2, (y, x))"),
    Op("voigt_profile", 3, v="special.voigt_profile(x, y, z)", dx="voigt_real(1.0, x, y, z)",
       dy="y*voigt_real(2.0, x, y, z)", dz="-voigt_imag(1.0, x, y, z)", dxx="voigt_real(2.0, x, y, z)",
       dxy="y*voigt_real(3.0, x, y, z)", dxz="-voigt_imag(2.0, x, y, z)",
       dyy="voigt_real(2.0, x, y, z) + y*y*voigt_real(4.0, x, y, z)", dyz="-y*voigt_imag(3.0, x, y, z)",
       dzz="-voigt_real(2.0, x, y, z)", domain=(REAL, POSITIVE, POSITIVE), scipy="voigt_profile",
       sym="re(voigt_n(0, x, y, z))"),
    # The x-th derivatives by y of the Voigt profile and of its harmonic conjugate
    Op("voigt_real", 4, v="voigt_real(x, y, z, u)", dy="voigt_real(x + 1.0, y, z, u)",
       dz="z*voigt_real(x + 2.0, y, z, u)", du="-voigt_imag(x + 1.0, y, z, u)",
       dyy="voigt_real(x + 2.0, y, z, u)", dyz="z*voigt_real(x + 3.0, y, z, u)",
       dyu="-voigt_imag(x + 2.0, y, z, u)",
       dzz="voigt_real(x + 2.0, y, z, u) + z*z*voigt_real(x + 4.0, y, z, u)",
       dzu="-z*voigt_imag(x + 3.0, y, z, u)", duu="-voigt_real(x + 2.0, y, z, u)", **unknown("x", 4),
       domain=((0.0, 4.0), REAL, POSITIVE, POSITIVE), order=(0,), sym="re(voigt_n(x, y, z, u))"),
    Op("voigt_imag", 4, v="voigt_imag(x, y, z, u)", dy="voigt_imag(x + 1.0, y, z, u)",
       dz="z*voigt_imag(x + 2.0, y, z, u)", du="voigt_real(x + 1.0, y, z, u)",
       dyy="voigt_imag(x + 2.0, y, z, u)", dyz="z*voigt_imag(x + 3.0, y, z, u)",
       dyu="voigt_real(x + 2.0, y, z, u)",
       dzz="voigt_imag(x + 2.0, y, z, u) + z*z*voigt_imag(x + 4.0, y, z, u)",
       dzu="z*voigt_real(x + 3.0, y, z, u)", duu="-voigt_imag(x + 2.0, y, z, u)", **unknown("x", 4),
       domain=((0.0, 4.0), REAL, POSITIVE, POSITIVE), order=(0,), sym="im(voigt_n(x, y, z, u))"),
    Op("wrightomega", 1, v="special.wrightomega(x)", dx="v / (1.0 + v)",
       dxx="v / ((1.0 + v)*(1.0 + v)*(1.0 + v))", scipy="wrightomega", sym="LambertW(exp(x))"),

    # The normal distribution
    Op("ndtr", 1, v="special.ndtr(x)", dx="ONE_OVER_SQRT_2PI*exp(-0.5*x*x)",
       dxx="-ONE_OVER_SQRT_2PI*x*exp(-0.5*x*x)", scipy="ndtr", sym="erfc(-x/sqrt(2))/2"),
    Op("log_ndtr", 1, v="special.log_ndtr(x)", dx=HAZARD, dxx=f"-{HAZARD}*hazard_excess(x)", scipy="log_ndtr",
       sym="log(erfc(-x/sqrt(2))/2)"),
    # x plus the ratio of the normal density to the distribution function
    Op("hazard_excess", 1, v="hazard_excess(x)", dx=f"1.0 - {HAZARD}*v",
       dxx=f"{HAZARD}*(v*v + {HAZARD}*v - 1.0)", sym="x + sqrt(2/pi)*exp(-x**2/2)/erfc(-x/sqrt(2))"),
    Op("ndtri", 1, v="special.ndtri(x)", dx="exp(0.5*v*v) / ONE_OVER_SQRT_2PI",
       dxx="v*exp(v*v) / (ONE_OVER_SQRT_2PI*ONE_OVER_SQRT_2PI)", domain=UNIT, scipy="ndtri",
       sym="-sqrt(2)*erfcinv(2*x)"),
    Op("ndtri_exp", 1, v="special.ndtri_exp(x)", dx=f"erfcx({VZ}) / SQRT_2_OVER_PI",
       dxx=f"SQRT_PI*erfcx({VZ})*erfcx_integral(1.0, {VZ}) / SQRT_2_OVER_PI", domain=(-INF, 0.0),
       scipy="ndtri_exp", sym="-sqrt(2)*erfcinv(2*exp(x))"),
    Op("nrdtrimn", 3, v="special.nrdtrimn(x, y, z)", dx="-y*exp(0.5*ndtri(x)*ndtri(x)) / ONE_OVER_SQRT_2PI",
       dy="-ndtri(x)", dz="1.0",
       dxx="-y*ndtri(x)*exp(ndtri(x)*ndtri(x)) / (ONE_OVER_SQRT_2PI*ONE_OVER_SQRT_2PI)",
       dxy="-exp(0.5*ndtri(x)*ndtri(x)) / ONE_OVER_SQRT_2PI", domain=(UNIT, POSITIVE, REAL), scipy="nrdtrimn",
       sym="z + y*sqrt(2)*erfcinv(2*x)"),
    Op("nrdtrisd", 3, v="special.nrdtrisd(x, y, z)", dx="-1.0 / ndtri(y)",
       dy="-v*exp(0.5*ndtri(y)*ndtri(y)) / (ONE_OVER_SQRT_2PI*ndtri(y))", dz="1.0 / ndtri(y)",
       dxy="exp(0.5*ndtri(y)*ndtri(y)) / (ONE_OVER_SQRT_2PI*ndtri(y)*ndtri(y))",
       dyy="v*exp(ndtri(y)*ndtri(y))*(2.0 - ndtri(y)*ndtri(y)) / (ONE_OVER_SQRT_2PI*ONE_OVER_SQRT_2PI"
           "*ndtri(y)*ndtri(y))", dyz="-exp(0.5*ndtri(y)*ndtri(y)) / (ONE_OVER_SQRT_2PI*ndtri(y)*ndtri(y))",
       domain=((-3.0, 0.0), (0.5, 1.0), (0.0, 3.0)), scipy="nrdtrisd", sym="(x - z)/(sqrt(2)*erfcinv(2*y))"),
    Op("owens_t", 2, v="special.owens_t(x, y)", dx="-0.5*ONE_OVER_SQRT_2PI*exp(-0.5*x*x)*erf(SQRT_HALF*x*y)",
       dy="exp(-0.5*x*x*(1.0 + y*y)) / (2.0*PI*(1.0 + y*y))",
       dxx="0.5*ONE_OVER_SQRT_2PI*x*exp(-0.5*x*x)*erf(SQRT_HALF*x*y) - y*exp(-0.5*x*x*(1.0 + y*y)) / (2.0"
           "*PI)", dxy="-x*exp(-0.5*x*x*(1.0 + y*y)) / (2.0*PI)",
       dyy="-y*exp(-0.5*x*x*(1.0 + y*y))*(x*x + 2.0 / (1.0 + y*y)) / (2.0*PI*(1.0 + y*y))", scipy="owens_t",
       sym="Integral(exp(-x**2*(1 + t**2)/2)/(1 + t**2), (t, 0, y))/(2*pi)"),

    # Exponential integrals
    Op("exp1", 1, v="special.exp1(x)", dx="-exp(-x) / x", dxx="exp(-x)*(1.0 + x) / (x*x)", domain=POSITIVE,
       scipy="exp1", sym="expint(1, x)"),
    Op("expi", 1, v="special.expi(x)", dx="exp(x) / x", dxx="exp(x)*(x - 1.0) / (x*x)", domain=POSITIVE,
       scipy="expi", sym="Ei(x)"),
    Op("expn", 2, v="special.expn(count(x), y) if x == x else x", dy="-expn_any(x - 1.0, y)",
       dyy="expn_any(x - 2.0, y)", **unknown("x", 2), domain=((0.0, 6.0), POSITIVE), order=(0,), scipy="expn",
       sym="expint(x, y)"),
    # expn for negative whole orders too
    Op("expn_any", 2, v="expn_any(x, y)", dy="-expn_any(x - 1.0, y)", dyy="expn_any(x - 2.0, y)",
       **unknown("x", 2), domain=((-4.0, 3.0), POSITIVE), order=(0,), sym="expint(x, y)"),

    # Trigonometric, hyperbolic and Fresnel integrals
    Op("sici_0", 1, v="output_2_1(special.sici[double], 0, x)", dx="spherical_jn(0.0, x)",
       dxx="-spherical_jn(1.0, x)", scipy="sici:0", sym="Si(x)"),
    Op("sici_1", 1, v="output_2_1(special.sici[double], 1, x)", dx="cos(x) / x",
       dxx="-(sin(x) + cos(x) / x) / x", domain=POSITIVE, scipy="sici:1", sym="Ci(x)"),
    Op("shichi_0", 1, v="output_2_1(special.shichi[double], 0, x)", dx="spherical_in(0.0, x)",
       dxx="spherical_in(1.0, x)", scipy="shichi:0", sym="Shi(x)"),
    Op("shichi_1", 1, v="output_2_1(special.shichi[double], 1, x)", dx="cosh(x) / x",
       dxx="cosh(x)*(tanh(x) - 1.0 / x) / x", domain=POSITIVE, scipy="shichi:1", sym="Chi(x)"),
    Op("fresnel_0", 1, v="output_2_1(special.fresnel[double], 0, x)", dx="sin(0.5*PI*x*x)",
       dxx="PI*x*cos(0.5*PI*x*x)", scipy="fresnel:0", sym="fresnels(x)"),
    Op("fresnel_1", 1, v="output_2_1(special.fresnel[double], 1, x)", dx="cos(0.5*PI*x*x)",
       dxx="-PI*x*sin(0.5*PI*x*x)", scipy="fresnel:1", sym="fresnelc(x)"),
)
