"""Rows of scipy.special for distribution functions and their inverses, differentiated where the density is
known.

An inverse X of F has X' = 1/F' and X'' = -F''/F'**3. Counts that SciPy rounds down (k) have derivative zero.
"""

from .op import OPERANDS, POSITIVE, REAL, UNIT, UNKNOWN, Op
from .unknown import unknown

COUNT, TRIALS = (0.0, 3.0), (4.0, 9.0)
SHAPE = (0.5, 8.0)


# Calls that cut off counts.
CALLS = {
    "bdtr": "special.{0}(x, count(y), z) if y == y else y",
    "nbdt": "special.{0}(count(x), count(y), z) if x == x and y == y else NAN",
    "pdtri": "special.{0}(count(x), y) if x == x else x",
    "smirn": "special.{0}(count(x), y) if x == x else x",
}


def call(function, operands):
    """The value of a function of SciPy in C."""
    for start, text in CALLS.items():
        if function.startswith(start):
            return text.format(function)
    return f"special.{function}({operands})"


def distribution(name, inverse, sym, density, log_slope, domain, upper="", flat="", order=()):
    """Rows of a distribution function, of its complement (`upper`), if there is one, and of the inverse of
    one of them, by the last operand.

    `sym` is the value for SymPy; `density` and the slope of its logarithm, `log_slope`, hold {0} for the
    argument. The first character of `inverse` is the sign of the slope of what it inverts. By the operands
    `flat` all partials are zero; by the others before the last there is no rule.
    """
    arity = len(domain)
    names = OPERANDS[:arity]
    last, operands = names[-1], ", ".join(names)
    shared = unknown([k for k in names[:-1] if k not in flat], arity, flat) | {"order": order}
    slope, curve = density.format(last), f"{density.format(last)}*{log_slope.format(last)}"
    for function, sign, form in ((name, "", sym), (upper, "-", f"1 - ({sym})")):
        if function:
            yield Op(function, arity, v=call(function, operands), domain=domain, scipy=function,
                     sym=form, **shared, **{f"d{last}": sign + slope, f"d{last}{last}": sign + curve})
    sign, function = inverse[0], inverse[1:]
    at = density.format("v")
    yield Op(function, arity, v=call(function, operands), domain=(*domain[:-1], UNIT),
             scipy=function, sym="", **shared,
             **{f"d{last}": f"{sign}1.0 / {at}".removeprefix("+"),
                f"d{last}{last}": f"-{log_slope.format('v')} / ({at}*{at})"})


def pair(j, k):
    """The name of the second partial by operands j and k."""
    return "d" + "".join(sorted(j + k, key=OPERANDS.index))


def forward(t, x, slopes):
    """Partials of F(x, t) by the operands `t` and `x`; slopes are f = dF/dx, g = -dF/dt, and those of f and g
    by x and t."""
    f, g, f_x, f_t, _, g_t = slopes
    return {f"d{x}": f, f"d{t}": f"-{g}", f"d{x}{x}": f_x, pair(t, x): f_t, f"d{t}{t}": f"-{g_t}"}


def quantile(t, p, slopes):
    """Partials of the x that solves F(x, t) = p by the operands `t` and `p`; slopes as in `forward`."""
    f, g, f_x, f_t, g_x, g_t = slopes
    ratio = f"({g} / {f})"
    return {
        f"d{t}": ratio, f"d{p}": f"1.0 / {f}", f"d{p}{p}": f"-{f_x} / ({f}*{f}*{f})",
        pair(t, p): f"-({f_t} + {f_x}*{ratio}) / ({f}*{f})",
        f"d{t}{t}": f"({g_t} + {g_x}*{ratio} - {ratio}*({f_t} + {f_x}*{ratio})) / {f}",
    }


def parameter(x, p, slopes):
    """Partials of the t that solves F(x, t) = p by the operands `x` and `p`; slopes as in `forward`."""
    f, g, f_x, f_t, g_x, g_t = slopes
    ratio = f"({f} / {g})"
    return {
        f"d{x}": ratio, f"d{p}": f"-1.0 / {g}", f"d{p}{p}": f"-{g_t} / ({g}*{g}*{g})",
        pair(x, p): f"({g_x} + {g_t}*{ratio}) / ({g}*{g})",
        f"d{x}{x}": f"({f_x} + {f_t}*{ratio} - {ratio}*({g_x} + {g_t}*{ratio})) / {g}",
    }


def chndtr_slopes(x, k, t):
    """The slopes (see `forward`) of chndtr."""
    below, f, g, above = (f"ncx2_density({x}, {k}{shift}, {t})"
                          for shift in (" - 2.0", "", " + 2.0", " + 4.0"))
    return (f, g, f"(0.5*({below} - {f}))", f"(0.5*({g} - {f}))", f"(0.5*({f} - {g}))",
            f"(0.5*({above} - {g}))")


def nctdtr_slopes(n, t, x):
    """The slopes (see `forward`) of nctdtr."""
    w0, w1, w2, w3 = (f"nct_moment({j}.0, {n}, {t}, {x})" for j in range(4))
    return (w1, w0, f"({t}*{w2} - {x}*{w3})", f"({x}*{w2} - {t}*{w1})", f"({t}*{w1} - {x}*{w2})",
            f"({x}*{w1} - {t}*{w0})")


def ncfdtr_slopes(m, n, t, x):
    """The slopes (see `forward`) of ncfdtr: the noncentral beta distribution at w = m x/(n + m x)."""
    w = f"({m}*{x} / ({n} + {m}*{x}))"
    w_x = f"({m}*{n} / (({n} + {m}*{x})*({n} + {m}*{x})))"
    k0, k1, c0, c1 = (f"{row}(0.5*{m}{shift}, 0.5*{n}, {t}, {w})"
                      for row in ("ncbeta_density", "ncbeta_drop") for shift in ("", " + 1.0"))
    k_w = f"(((0.5*{m} - 1.0)*{k0} + 0.5*{t}*{k1}) / {w} - (0.5*{n} - 1.0)*{k0} / (1.0 - {w}))"
    return (f"({k0}*{w_x})", f"(0.5*{c0})", f"({w_x}*({k_w}*{w_x} - 2.0*{m}*{k0} / ({n} + {m}*{x})))",
            f"(0.5*({k1} - {k0})*{w_x})", f"(0.5*({k0} - {k1})*{w_x})", f"(0.25*({c1} - {c0}))")


# The slope at {0} of the binomial, negative binomial, Poisson, chi-squared, F and t distributions, and of its
# logarithm.
BINOMIAL = ("beta_density(y - floor(x), floor(x) + 1.0, 1.0 - {0}, {0})",
            "(floor(x) / {0} - (y - floor(x) - 1.0) / (1.0 - {0}))")
NEGATIVE = ("beta_density(y, floor(x) + 1.0, {0}, 1.0 - {0})",
            "((y - 1.0) / {0} - floor(x) / (1.0 - {0}))")
POISSON = "gamma_density(floor(x) + 1.0, {0})", "(floor(x) / {0} - 1.0)"
CHI2 = "(0.5*gamma_density(0.5*x, 0.5*{0}))", "((0.5*x - 1.0) / {0} - 0.5)"
FISHER = "f_density(x, y, {0})", "((0.5*x - 1.0) / {0} - 0.5*(x + y)*x / (y + x*{0}))"
STUDENT = "t_density(x, {0})", "(-(x + 1.0)*{0} / (x + {0}*{0}))"

STUDENT_FORM = ("Rational(1, 2) + y*gamma((x + 1)/2)/(sqrt(pi*x)*gamma(x/2))"
                "*hyper([Rational(1, 2), (x + 1)/2], [Rational(3, 2)], -y**2/x)")

# Gamma distribution of rate x, shape y and argument z: its slope by x*z, and the slope of the
# logarithm of that.
G, G_LOG = "gamma_density(y, x*z)", "((y - 1.0) / (x*z) - 1.0)"

# Tukey's quantile function Q(p, y) at the result: dQ/dp and its slopes, dQ/dy and its slope by y.
Q_P = "(v**(y - 1.0) + (1.0 - v)**(y - 1.0))"
Q_PP = "((y - 1.0)*(v**(y - 2.0) - (1.0 - v)**(y - 2.0)))"
Q_PY = "(log(v)*v**(y - 1.0) + log1p(-v)*(1.0 - v)**(y - 1.0))"
Q_Y = "(0.5*(log(v)*log(v)*hyp1f1(2.0, 3.0, y*log(v)) - log1p(-v)*log1p(-v)*hyp1f1(2.0, 3.0, y*log1p(-v))))"
Q_YY = ("((log(v)*log(v)*log(v)*hyp1f1(3.0, 4.0, y*log(v))"
        " - log1p(-v)*log1p(-v)*log1p(-v)*hyp1f1(3.0, 4.0, y*log1p(-v))) / 3.0)")

DISTRIBUTION = (
    *distribution("bdtrc", "-bdtri", "betainc_regularized(x + 1, y - x, 0, z)", *BINOMIAL,
                  (COUNT, TRIALS, UNIT), upper="bdtr", flat="x", order=(0, 1)),
    *distribution("nbdtr", "+nbdtri", "betainc_regularized(y, x + 1, 0, z)", *NEGATIVE,
                  (COUNT, TRIALS, UNIT), upper="nbdtrc", flat="x", order=(0, 1)),
    *distribution("pdtrc", "-pdtri", "lowergamma(x + 1, y)/gamma(x + 1)", *POISSON, (COUNT, POSITIVE),
                  upper="pdtr", flat="x", order=(0,)),
    *distribution("chdtr", "-chdtri", "lowergamma(x/2, y/2)/gamma(x/2)", *CHI2, (SHAPE, POSITIVE),
                  upper="chdtrc"),
    *distribution("fdtr", "+fdtri", "betainc_regularized(x/2, y/2, 0, x*z/(y + x*z))", *FISHER,
                  (SHAPE, SHAPE, POSITIVE), upper="fdtrc"),
    *distribution("stdtr", "+stdtrit", STUDENT_FORM, *STUDENT, (SHAPE, REAL)),
    Op("smirnov", 2, v=call("smirnov", "x, y"), dy="smirnov_derivative(1.0, x, y)",
       dyy="smirnov_derivative(2.0, x, y)", **unknown("x", 2), domain=((2.0, 8.0), UNIT), order=(0,),
       scipy="smirnov", sym="smirnov_n(0, x, y)"),
    Op("smirnovi", 2, v=call("smirnovi", "x, y"), dy="1.0 / smirnov_derivative(1.0, x, v)",
       dyy="-smirnov_derivative(2.0, x, v) / smirnov_derivative(1.0, x, v)**3.0", **unknown("x", 2),
       domain=((2.0, 8.0), UNIT), order=(0,), scipy="smirnovi", sym=""),
    Op("kolmogorov", 1, v="special.kolmogorov(x)", dx="kolmogorov_derivative(1.0, x)",
       dxx="kolmogorov_derivative(2.0, x)", domain=POSITIVE, scipy="kolmogorov", sym="kolmogorov_n(0, x)"),
    Op("kolmogi", 1, v="special.kolmogi(x)", dx="1.0 / kolmogorov_derivative(1.0, v)",
       dxx="-kolmogorov_derivative(2.0, v) / kolmogorov_derivative(1.0, v)**3.0", domain=UNIT,
       scipy="kolmogi", sym=""),

    # Densities that serve the above
    Op("f_density", 3, v="f_density(x, y, z)", dz="v*((0.5*x - 1.0) / z - 0.5*(x + y)*x / (y + x*z))",
       dzz="v*((0.5*x - 1.0)*(0.5*x - 2.0) / (z*z) - (0.5*x - 1.0)*(x + y)*x / (z*(y + x*z)) + 0.25*(x + y)"
           "*(x + y + 2.0)*x*x / ((y + x*z)*(y + x*z)))", **unknown("xy", 3), domain=(SHAPE, SHAPE, POSITIVE),
       sym="(x/y)**(x/2)*z**(x/2 - 1)*(1 + x*z/y)**(-(x + y)/2)*gamma((x + y)/2)/(gamma(x/2)*gamma(y/2))"),
    Op("t_density", 2, v="t_density(x, y)", dy="-v*(x + 1.0)*y / (x + y*y)",
       dyy="v*(x + 1.0)*((x + 2.0)*y*y - x) / ((x + y*y)*(x + y*y))", **unknown("x", 2), domain=(SHAPE, REAL),
       sym="gamma((x + 1)/2)*(1 + y**2/x)**(-(x + 1)/2)/(sqrt(pi*x)*gamma(x/2))"),
    Op("kolmogorov_derivative", 2, v="kolmogorov_derivative(x, y)", dy="kolmogorov_derivative(x + 1.0, y)",
       dyy="kolmogorov_derivative(x + 2.0, y)", **unknown("x", 2), domain=((0.0, 2.0), POSITIVE), order=(0,),
       sym="kolmogorov_n(x, y)"),
    Op("smirnov_derivative", 3, v="smirnov_derivative(x, y, z)", dz="smirnov_derivative(x + 1.0, y, z)",
       dzz="smirnov_derivative(x + 2.0, y, z)", **unknown("xy", 3), domain=((0.0, 2.0), (6.0, 9.0), UNIT),
       order=(0, 1), sym="smirnov_n(x, y, z)"),

    # The gamma distribution of rate x and shape y at z, its quantile, and the rate from the rest
    Op("gdtr", 3, v="special.gdtr(x, y, z)", dx=f"z*{G}", dz=f"x*{G}", dxx=f"z*z*{G}*{G_LOG}",
       dxz=f"{G}*(1.0 + x*z*{G_LOG})", dzz=f"x*x*{G}*{G_LOG}", **unknown("y", 3), domain=POSITIVE,
       scipy="gdtr", sym="lowergamma(y, x*z)/gamma(y)"),
    Op("gdtrc", 3, v="special.gdtrc(x, y, z)", dx=f"-z*{G}", dz=f"-x*{G}", dxx=f"-z*z*{G}*{G_LOG}",
       dxz=f"-{G}*(1.0 + x*z*{G_LOG})", dzz=f"-x*x*{G}*{G_LOG}", **unknown("y", 3), domain=POSITIVE,
       scipy="gdtrc", sym="uppergamma(y, x*z)/gamma(y)"),
    Op("gdtrix", 3, v="special.gdtrix(x, y, z)", dx="-v / x", dz="1.0 / (x*gamma_density(y, x*v))",
       dxx="2.0*v / (x*x)", dxz="-1.0 / (x*x*gamma_density(y, x*v))",
       dzz="(1.0 - (y - 1.0) / (x*v)) / (x*gamma_density(y, x*v)*gamma_density(y, x*v))", **unknown("y", 3),
       domain=(POSITIVE, POSITIVE, UNIT), scipy="gdtrix", sym=""),
    Op("gdtria", 3, v="special.gdtria(x, y, z)", dx="1.0 / (z*gamma_density(y, z*v))", dz="-v / z",
       dxx="(1.0 - (y - 1.0) / (z*v)) / (z*gamma_density(y, z*v)*gamma_density(y, z*v))",
       dxz="-1.0 / (z*z*gamma_density(y, z*v))", dzz="2.0*v / (z*z)", **unknown("y", 3),
       domain=(UNIT, POSITIVE, POSITIVE), scipy="gdtria", sym=""),

    # Tukey's lambda distribution
    Op("tklmbda", 2, v="special.tklmbda(x, y)", dx=f"1.0 / {Q_P}", dy=f"-{Q_Y} / {Q_P}",
       dxx=f"-{Q_PP} / ({Q_P}*{Q_P}*{Q_P})", dxy=f"({Q_PP}*{Q_Y} / {Q_P} - {Q_PY}) / ({Q_P}*{Q_P})",
       dyy=f"-({Q_YY} + ({Q_PP}*{Q_Y} / {Q_P} - 2.0*{Q_PY})*{Q_Y} / {Q_P}) / {Q_P}",
       domain=((-0.9, 0.9), (-1.0, 1.0)), scipy="tklmbda", sym=""),

    # Noncentral chi-squared distribution
    Op("chndtr", 3, v="special.chndtr(x, y, z)", **forward("z", "x", chndtr_slopes("x", "y", "z")),
       **unknown("y", 3), domain=(POSITIVE, SHAPE, SHAPE), scipy="chndtr",
       sym="Sum(exp(-z/2)*(z/2)**t/factorial(t)*lowergamma(y/2 + t, x/2)/gamma(y/2 + t), (t, 0, 60))"),
    Op("chndtrix", 3, v="special.chndtrix(x, y, z)", **quantile("z", "x", chndtr_slopes("v", "y", "z")),
       **unknown("y", 3), domain=(UNIT, SHAPE, SHAPE), scipy="chndtrix", sym=""),
    Op("chndtrinc", 3, v="special.chndtrinc(x, y, z)", **parameter("x", "z", chndtr_slopes("x", "y", "v")),
       **unknown("y", 3), domain=((6.0, 9.0), (0.5, 3.0), (0.1, 0.5)), scipy="chndtrinc", sym=""),
    Op("ncx2_density", 3, v="ncx2_density(x, y, z)", dx="0.5*(ncx2_density(x, y - 2.0, z) - v)",
       dz="0.5*(ncx2_density(x, y + 2.0, z) - v)",
       dxx="0.25*(ncx2_density(x, y - 4.0, z) - 2.0*ncx2_density(x, y - 2.0, z) + v)",
       dxz="0.25*(2.0*v - ncx2_density(x, y - 2.0, z) - ncx2_density(x, y + 2.0, z))",
       dzz="0.25*(ncx2_density(x, y + 4.0, z) - 2.0*ncx2_density(x, y + 2.0, z) + v)", **unknown("y", 3),
       domain=(POSITIVE, SHAPE, SHAPE),
       sym="exp(-(x + z)/2)*(x/z)**(y/4 - Rational(1, 2))*besseli(y/2 - 1, sqrt(x*z))/2"),

    # Noncentral t distribution: nct_moment(j, n, t, x) is the mean of s**j phi(x s - t), where n s*s is
    # chi-squared(n)
    Op("nctdtr", 3, v="special.nctdtr(x, y, z)", **forward("y", "z", nctdtr_slopes("x", "y", "z")),
       **unknown("x", 3), domain=(SHAPE, (-2.0, 2.0), (-4.0, 4.0)), scipy="nctdtr",
       sym="Integral(erfc((y - z*t)/sqrt(2))*(x/2)**(x/2)/gamma(x/2)*t**(x - 1)*exp(-x*t**2/2), (t, 0, oo))"),
    Op("nctdtrit", 3, v="special.nctdtrit(x, y, z)", **quantile("y", "z", nctdtr_slopes("x", "y", "v")),
       **unknown("x", 3), domain=((2.0, 8.0), (-2.0, 2.0), UNIT), scipy="nctdtrit", sym=""),
    Op("nctdtrinc", 3, v="special.nctdtrinc(x, y, z)", **parameter("z", "y", nctdtr_slopes("x", "v", "z")),
       **unknown("x", 3), domain=((2.0, 8.0), UNIT, (-2.0, 2.0)), scipy="nctdtrinc", sym=""),
    Op("nct_moment", 4, v="nct_moment(x, y, z, u)", dz="u*nct_moment(x + 1.0, y, z, u) - z*v",
       du="z*nct_moment(x + 1.0, y, z, u) - u*nct_moment(x + 2.0, y, z, u)",
       dzz="u*u*nct_moment(x + 2.0, y, z, u) - 2.0*u*z*nct_moment(x + 1.0, y, z, u) + (z*z - 1.0)*v",
       dzu="(1.0 - z*z)*nct_moment(x + 1.0, y, z, u) + 2.0*u*z*nct_moment(x + 2.0, y, z, u) - u*u"
           "*nct_moment(x + 3.0, y, z, u)",
       duu="(z*z - 1.0)*nct_moment(x + 2.0, y, z, u) - 2.0*u*z*nct_moment(x + 3.0, y, z, u) + u*u"
           "*nct_moment(x + 4.0, y, z, u)", **unknown("xy", 4),
       domain=((0.0, 3.0), SHAPE, (-2.0, 2.0), (-4.0, 4.0)), order=(0,),
       sym="sqrt(2/pi)*(y/2)**(y/2)/gamma(y/2)*gamma(x + y)*(u**2 + y)**(-(x + y)/2)*pcfd(-x - y, -u"
           "*z/sqrt(u**2 + y))*exp(u**2*z**2/(4*(u**2 + y)) - z**2/2)"),

    # Noncentral F distribution through the noncentral beta one (a, b, t) at w: its density, and the drop of
    # the distribution function as a grows by 1
    Op("ncfdtr", 4, v="special.ncfdtr(x, y, z, u)", **forward("z", "u", ncfdtr_slopes("x", "y", "z", "u")),
       **unknown("xy", 4), domain=(SHAPE, SHAPE, SHAPE, POSITIVE), scipy="ncfdtr",
       sym="Sum(exp(-z/2)*(z/2)**t/factorial(t)*betainc_regularized(x/2 + t, y/2, 0, x*u/(y + x"
           "*u)), (t, 0, 60))"),
    Op("ncfdtri", 4, v="special.ncfdtri(x, y, z, u)", **quantile("z", "u", ncfdtr_slopes("x", "y", "z", "v")),
       **unknown("xy", 4), domain=(SHAPE, SHAPE, SHAPE, UNIT), scipy="ncfdtri", sym=""),
    Op("ncfdtrinc", 4, v="special.ncfdtrinc(x, y, z, u)",
       **parameter("u", "z", ncfdtr_slopes("x", "y", "v", "u")), **unknown("xy", 4),
       domain=((1.0, 4.0), (4.0, 8.0), (0.1, 0.4), (2.0, 4.0)), scipy="ncfdtrinc", sym=""),
    Op("ncbeta_density", 4, v="ncbeta_density(x, y, z, u)", dz="0.5*(ncbeta_density(x + 1.0, y, z, u) - v)",
       du="((x - 1.0)*v + 0.5*z*ncbeta_density(x + 1.0, y, z, u)) / u - (y - 1.0)*v / (1.0 - u)",
       dzz="0.25*(ncbeta_density(x + 2.0, y, z, u) - 2.0*ncbeta_density(x + 1.0, y, z, u) + v)", dzu=UNKNOWN,
       duu=UNKNOWN, **unknown("xy", 4), domain=(SHAPE, SHAPE, SHAPE, UNIT),
       sym="exp(-z/2)*u**(x - 1)*(1 - u)**(y - 1)*gamma(x + y)/(gamma(x)*gamma(y))*hyper([x + y], [x], z"
           "*u/2)"),
    Op("ncbeta_drop", 4, v="ncbeta_drop(x, y, z, u)", dz="0.5*(ncbeta_drop(x + 1.0, y, z, u) - v)",
       du="ncbeta_density(x, y, z, u) - ncbeta_density(x + 1.0, y, z, u)",
       dzz="0.25*(ncbeta_drop(x + 2.0, y, z, u) - 2.0*ncbeta_drop(x + 1.0, y, z, u) + v)",
       dzu="0.5*(2.0*ncbeta_density(x + 1.0, y, z, u) - ncbeta_density(x + 2.0, y, z, u)"
           " - ncbeta_density(x, y, z, u))", duu=UNKNOWN, **unknown("xy", 4),
       domain=(SHAPE, SHAPE, SHAPE, UNIT),
       sym="exp(-z/2)*u**x*(1 - u)**y*gamma(x + y)/(gamma(x + 1)*gamma(y))*hyper([x + y], [x + 1], z*u/2)"),
)
