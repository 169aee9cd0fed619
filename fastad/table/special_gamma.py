"""Rows of scipy.special around the gamma, beta and zeta functions and their incomplete forms."""

from .op import INF, POSITIVE, UNIT, Op
from .unknown import unknown

GAMMA = (
    Op("gamma", 1, v="special.gamma(x)", dx="v*psi(x)", dxx="v*(psi(x)*psi(x) + polygamma(1.0, x))",
       domain=POSITIVE, scipy="gamma"),
    Op("gammaln", 1, v="special.gammaln(x)", dx="psi(x)", dxx="polygamma(1.0, x)", domain=POSITIVE,
       scipy="gammaln", sym="loggamma(x)"),
    Op("tgamma", 1, v="tgamma(x)", dx="v*psi(x)", dxx="v*(psi(x)*psi(x) + polygamma(1.0, x))",
       domain=POSITIVE, math="gamma", sym="gamma(x)"),
    Op("lgamma", 1, v="lgamma(x)", dx="psi(x)", dxx="polygamma(1.0, x)", domain=POSITIVE, math="lgamma",
       sym="loggamma(x)"),
    Op("loggamma", 1, v="special.loggamma(x)", dx="psi(x)", dxx="polygamma(1.0, x)", domain=POSITIVE,
       scipy="loggamma", sym="loggamma(x)"),
    Op("gammasgn", 1, v="special.gammasgn(x)", scipy="gammasgn", sym=""),
    Op("rgamma", 1, v="special.rgamma(x)", dx="rgamma_derivative(1.0, x)", dxx="rgamma_derivative(2.0, x)",
       domain=(-3.5, INF), scipy="rgamma", sym="1/gamma(x)"),
    # The x-th derivative of 1/gamma, which has no poles
    Op("rgamma_derivative", 2, v="rgamma_derivative(x, y)", dy="rgamma_derivative(x + 1.0, y)",
       dyy="rgamma_derivative(x + 2.0, y)", **unknown("x", 2), domain=((0.0, 3.0), (-3.5, INF)), order=(0,),
       sym="Derivative(1/gamma(y), (y, x))"),
    Op("psi", 1, v="special.psi(x)", dx="polygamma(1.0, x)", dxx="polygamma(2.0, x)", domain=POSITIVE,
       scipy="psi", sym="digamma(x)"),
    Op("polygamma", 2, v="polygamma(x, y)", dy="polygamma(x + 1.0, y)", dyy="polygamma(x + 2.0, y)",
       **unknown("x", 2), domain=((0.0, 6.0), POSITIVE), order=(0,), sym="polygamma(x, y)"),

    # Zeta functions: zeta_derivative is the x-th derivative by y of Hurwitz's zeta(y, z)
    Op("zetac", 1, v="special.zetac(x)", dx="zeta_derivative(1.0, x, 1.0)",
       dxx="zeta_derivative(2.0, x, 1.0)", domain=(1.0, INF), scipy="zetac", sym="zeta(x) - 1"),
    Op("zeta", 2, v="zeta_derivative(0.0, x, y)", dx="zeta_derivative(1.0, x, y)", dy="-x*zeta(x + 1.0, y)",
       dxx="zeta_derivative(2.0, x, y)", dxy="-zeta(x + 1.0, y) - x*zeta_derivative(1.0, x + 1.0, y)",
       dyy="x*(x + 1.0)*zeta(x + 2.0, y)", domain=((1.0, INF), POSITIVE), sym="zeta(x, y)"),
    Op("zeta_derivative", 3, v="zeta_derivative(x, y, z)", dy="zeta_derivative(x + 1.0, y, z)",
       dz="-y*zeta_derivative(x, y + 1.0, z) - mulz(x, zeta_derivative(x - 1.0, y + 1.0, z))",
       dyy="zeta_derivative(x + 2.0, y, z)",
       dyz="-y*zeta_derivative(x + 1.0, y + 1.0, z) - (x + 1.0)*zeta_derivative(x, y + 1.0, z)",
       dzz="y*(y + 1.0)*zeta_derivative(x, y + 2.0, z) + mulz(x*(2.0*y + 1.0), zeta_derivative(x - 1.0, y"
           " + 2.0, z)) + mulz(x*(x - 1.0), zeta_derivative(x - 2.0, y + 2.0, z))", **unknown("x", 3),
       domain=((0.0, 4.0), (1.0, INF), POSITIVE), order=(0,), sym="zeta_n(x, y, z)"),

    # Beta functions and binomials
    Op("beta", 2, v="special.beta(x, y)", dx="v*(psi(x) - psi(x + y))", dy="v*(psi(y) - psi(x + y))",
       dxx="v*((psi(x) - psi(x + y))*(psi(x) - psi(x + y)) + polygamma(1.0, x) - polygamma(1.0, x + y))",
       dxy="v*((psi(x) - psi(x + y))*(psi(y) - psi(x + y)) - polygamma(1.0, x + y))",
       dyy="v*((psi(y) - psi(x + y))*(psi(y) - psi(x + y)) + polygamma(1.0, y) - polygamma(1.0, x + y))",
       domain=POSITIVE, scipy="beta", sym="gamma(x)*gamma(y)/gamma(x + y)"),
    Op("betaln", 2, v="special.betaln(x, y)", dx="psi(x) - psi(x + y)", dy="psi(y) - psi(x + y)",
       dxx="polygamma(1.0, x) - polygamma(1.0, x + y)", dxy="-polygamma(1.0, x + y)",
       dyy="polygamma(1.0, y) - polygamma(1.0, x + y)", domain=POSITIVE, scipy="betaln",
       sym="loggamma(x) + loggamma(y) - loggamma(x + y)"),
    Op("binom", 2, v="special.binom(x, y)", dx="v*(psi(x + 1.0) - psi(x - y + 1.0))",
       dy="v*(psi(x - y + 1.0) - psi(y + 1.0))",
       dxx="v*((psi(x + 1.0) - psi(x - y + 1.0))*(psi(x + 1.0) - psi(x - y + 1.0)) + polygamma(1.0, x"
           " + 1.0) - polygamma(1.0, x - y + 1.0))",
       dxy="v*((psi(x + 1.0) - psi(x - y + 1.0))*(psi(x - y + 1.0) - psi(y + 1.0)) + polygamma(1.0, x - y"
           " + 1.0))",
       dyy="v*((psi(x - y + 1.0) - psi(y + 1.0))*(psi(x - y + 1.0) - psi(y + 1.0)) - polygamma(1.0, x - y"
           " + 1.0) - polygamma(1.0, y + 1.0))", domain=((3.0, 40.0), (0.0, 3.0)), scipy="binom",
       sym="gamma(x + 1)/(gamma(y + 1)*gamma(x - y + 1))"),
    Op("poch", 2, v="special.poch(x, y)", dx="v*(psi(x + y) - psi(x))", dy="v*psi(x + y)",
       dxx="v*((psi(x + y) - psi(x))*(psi(x + y) - psi(x)) + polygamma(1.0, x + y) - polygamma(1.0, x))",
       dxy="v*((psi(x + y) - psi(x))*psi(x + y) + polygamma(1.0, x + y))",
       dyy="v*(psi(x + y)*psi(x + y) + polygamma(1.0, x + y))", domain=POSITIVE, scipy="poch",
       sym="gamma(x + y)/gamma(x)"),

    # Incomplete gamma functions: gamma_density(a, t) is the slope of gammainc(a, t) by t
    Op("gamma_density", 2, v="gamma_density(x, y)", dx="v*(log(y) - psi(x))", dy="v*((x - 1.0) / y - 1.0)",
       dxx="v*((log(y) - psi(x))*(log(y) - psi(x)) - polygamma(1.0, x))",
       dxy="v*((log(y) - psi(x))*((x - 1.0) / y - 1.0) + 1.0 / y)",
       dyy="v*(((x - 1.0) / y - 1.0)*((x - 1.0) / y - 1.0) - (x - 1.0) / (y*y))", domain=POSITIVE,
       sym="y**(x - 1)*exp(-y)/gamma(x)"),
    Op("gammainc", 2, v="special.gammainc(x, y)", dy="gamma_density(x, y)",
       dyy="gamma_density(x, y)*((x - 1.0) / y - 1.0)", **unknown("x", 2), domain=POSITIVE, scipy="gammainc",
       sym="lowergamma(x, y)/gamma(x)"),
    Op("gammaincc", 2, v="special.gammaincc(x, y)", dy="-gamma_density(x, y)",
       dyy="-gamma_density(x, y)*((x - 1.0) / y - 1.0)", **unknown("x", 2), domain=POSITIVE,
       scipy="gammaincc", sym="uppergamma(x, y)/gamma(x)"),
    Op("gammaincinv", 2, v="special.gammaincinv(x, y)", dy="1.0 / gamma_density(x, v)",
       dyy="(1.0 - (x - 1.0) / v) / (gamma_density(x, v)*gamma_density(x, v))", **unknown("x", 2),
       domain=(POSITIVE, UNIT), scipy="gammaincinv", sym=""),
    Op("gammainccinv", 2, v="special.gammainccinv(x, y)", dy="-1.0 / gamma_density(x, v)",
       dyy="(1.0 - (x - 1.0) / v) / (gamma_density(x, v)*gamma_density(x, v))", **unknown("x", 2),
       domain=(POSITIVE, UNIT), scipy="gammainccinv", sym=""),

    # Incomplete beta functions: beta_density(a, b, t, 1 - t) is the slope of betainc(a, b, t) by t
    Op("beta_density", 4, v="beta_density(x, y, z, u)", dx="v*(log(z) + psi(x + y) - psi(x))",
       dy="v*(log(u) + psi(x + y) - psi(y))", dz="v*(x - 1.0) / z", du="v*(y - 1.0) / u",
       dxx="v*((log(z) + psi(x + y) - psi(x))*(log(z) + psi(x + y) - psi(x)) + polygamma(1.0, x + y)"
           " - polygamma(1.0, x))",
       dxy="v*((log(z) + psi(x + y) - psi(x))*(log(u) + psi(x + y) - psi(y)) + polygamma(1.0, x + y))",
       dxz="v*((log(z) + psi(x + y) - psi(x))*(x - 1.0) + 1.0) / z",
       dxu="v*(log(z) + psi(x + y) - psi(x))*(y - 1.0) / u",
       dyy="v*((log(u) + psi(x + y) - psi(y))*(log(u) + psi(x + y) - psi(y)) + polygamma(1.0, x + y)"
           " - polygamma(1.0, y))", dyz="v*(log(u) + psi(x + y) - psi(y))*(x - 1.0) / z",
       dyu="v*((log(u) + psi(x + y) - psi(y))*(y - 1.0) + 1.0) / u", dzz="v*(x - 1.0)*(x - 2.0) / (z*z)",
       dzu="v*(x - 1.0)*(y - 1.0) / (z*u)", duu="v*(y - 1.0)*(y - 2.0) / (u*u)",
       domain=(POSITIVE, POSITIVE, UNIT, UNIT), sym="z**(x - 1)*u**(y - 1)*gamma(x + y)/(gamma(x)*gamma(y))"),
    Op("betainc", 3, v="special.betainc(x, y, z)", dz="beta_density(x, y, z, 1.0 - z)",
       dzz="beta_density(x, y, z, 1.0 - z)*((x - 1.0) / z - (y - 1.0) / (1.0 - z))", **unknown("xy", 3),
       domain=(POSITIVE, POSITIVE, UNIT), scipy="betainc", sym="betainc_regularized(x, y, 0, z)"),
    Op("betaincc", 3, v="special.betaincc(x, y, z)", dz="-beta_density(x, y, z, 1.0 - z)",
       dzz="-beta_density(x, y, z, 1.0 - z)*((x - 1.0) / z - (y - 1.0) / (1.0 - z))", **unknown("xy", 3),
       domain=(POSITIVE, POSITIVE, UNIT), scipy="betaincc", sym="betainc_regularized(x, y, z, 1)"),
    Op("betaincinv", 3, v="special.betaincinv(x, y, z)", dz="1.0 / beta_density(x, y, v, 1.0 - v)",
       dzz="((y - 1.0) / (1.0 - v) - (x - 1.0) / v) / (beta_density(x, y, v, 1.0 - v)"
           "*beta_density(x, y, v, 1.0 - v))", **unknown("xy", 3), domain=((0.5, INF), (0.5, INF), UNIT),
       scipy="betaincinv", sym=""),
    Op("betainccinv", 3, v="special.betainccinv(x, y, z)", dz="-1.0 / beta_density(x, y, v, 1.0 - v)",
       dzz="((y - 1.0) / (1.0 - v) - (x - 1.0) / v) / (beta_density(x, y, v, 1.0 - v)"
           "*beta_density(x, y, v, 1.0 - v))", **unknown("xy", 3), domain=((0.5, INF), (0.5, INF), UNIT),
       scipy="betainccinv", sym=""),
)
