"""Rows of scipy.special made of logarithms, powers and angles, with the losses and transforms built on
them."""

from .op import INF, POSITIVE, REAL, UNIT, Op

# First and second derivative by y of log(1 + x*y)/y.
SLOPE = "(-x*x*hyp2f1(1.0, 1.0, 3.0, -x*y) / (2.0*(1.0 + x*y)))"
CURVE = "(2.0*x*x*x*hyp2f1(1.0, 1.0, 4.0, -x*y) / (3.0*(1.0 + x*y)*(1.0 + x*y)))"

BASIC = (
    # Logarithms and entropies
    Op("xlogy", 2, v="special.xlogy(x, y)", dx="logz(y)", dy="divz(x, y)", dxy="1.0 / y", dyy="divz(-x, y*y)",
       domain=(REAL, POSITIVE), scipy="xlogy", sym="x*log(y)"),
    Op("xlog1py", 2, v="special.xlog1py(x, y)", dx="log1p(y)", dy="divz(x, 1.0 + y)", dxy="1.0 / (1.0 + y)",
       dyy="divz(-x, (1.0 + y)*(1.0 + y))", domain=(REAL, (-1.0, INF)), scipy="xlog1py", sym="x*log(1 + y)"),
    Op("entr", 1, v="special.entr(x)", dx="-1.0 - log(x)", dxx="-1.0 / x", domain=POSITIVE, scipy="entr",
       sym="-x*log(x)"),
    Op("rel_entr", 2, v="special.rel_entr(x, y)", dx="1.0 + log(x / y)", dy="-x / y", dxx="1.0 / x",
       dxy="-1.0 / y", dyy="x / (y*y)", domain=POSITIVE, scipy="rel_entr", sym="x*log(x/y)"),
    Op("kl_div", 2, v="special.kl_div(x, y)", dx="log(x / y)", dy="(y - x) / y", dxx="1.0 / x",
       dxy="-1.0 / y", dyy="x / (y*y)", domain=POSITIVE, scipy="kl_div", sym="x*log(x/y) - x + y"),
    Op("logit", 1, v="special.logit(x)", dx="1.0 / (x*(1.0 - x))",
       dxx="(2.0*x - 1.0) / (x*(1.0 - x)*x*(1.0 - x))", domain=UNIT, scipy="logit", sym="log(x/(1 - x))"),
    Op("log_expit", 1, v="special.log_expit(x)", dx="expit(-x)", dxx="-expit(x)*expit(-x)", scipy="log_expit",
       sym="-log(1 + exp(-x))"),

    # x*y + z with one rounding
    Op("fma", 3, v="fma(x, y, z)", dx="y", dy="x", dz="1.0", dxy="1.0", math="fma", sym="x*y + z"),

    # (exp(x) - 1)/x and log(x)/(x - 1), whose derivatives are hypergeometric and so stay exact at 0 and 1
    Op("exprel", 1, v="special.exprel(x)", dx="hyp1f1(2.0, 3.0, x) / 2.0", dxx="hyp1f1(3.0, 4.0, x) / 3.0",
       scipy="exprel", sym="(exp(x) - 1)/x"),
    Op("logrel", 1, v="logrel(x)", dx="-hyp2f1(1.0, 1.0, 3.0, 1.0 - x) / (2.0*x)",
       dxx="2.0*hyp2f1(1.0, 1.0, 4.0, 1.0 - x) / (3.0*x*x)", domain=POSITIVE, sym="log(x)/(x - 1)"),
    Op("spence", 1, v="special.spence(x)", dx="-logrel(x)", dxx="hyp2f1(1.0, 1.0, 3.0, 1.0 - x) / (2.0*x)",
       domain=POSITIVE, scipy="spence", sym="polylog(2, 1 - x)"),

    # Power transforms
    Op("powm1", 2, v="special.powm1(x, y)", dx="mulz(y, x**(y - 1.0))", dy="x**y*logz(x)",
       dxx="mulz(y*(y - 1.0), x**(y - 2.0))", dxy="x**(y - 1.0)*(1.0 + mulz(y, logz(x)))",
       dyy="x**y*logz(x)*logz(x)", domain=(POSITIVE, REAL), scipy="powm1", sym="x**y - 1"),
    Op("boxcox", 2, v="special.boxcox(x, y)", dx="x**(y - 1.0)",
       dy="log(x)*log(x)*hyp1f1(2.0, 3.0, y*log(x)) / 2.0", dxx="mulz(y - 1.0, x**(y - 2.0))",
       dxy="log(x)*x**(y - 1.0)", dyy="log(x)*log(x)*log(x)*hyp1f1(3.0, 4.0, y*log(x)) / 3.0",
       domain=(POSITIVE, REAL), scipy="boxcox", sym="(x**y - 1)/y"),
    Op("boxcox1p", 2, v="special.boxcox1p(x, y)", dx="(1.0 + x)**(y - 1.0)",
       dy="log1p(x)*log1p(x)*hyp1f1(2.0, 3.0, y*log1p(x)) / 2.0", dxx="mulz(y - 1.0, (1.0 + x)**(y - 2.0))",
       dxy="log1p(x)*(1.0 + x)**(y - 1.0)",
       dyy="log1p(x)*log1p(x)*log1p(x)*hyp1f1(3.0, 4.0, y*log1p(x)) / 3.0", domain=((-1.0, INF), REAL),
       scipy="boxcox1p", sym="((1 + x)**y - 1)/y"),
    Op("inv_boxcox", 2, v="special.inv_boxcox(x, y)", dx="v / (1.0 + x*y)", dy=f"v*{SLOPE}",
       dxx="v*(1.0 - y) / ((1.0 + x*y)*(1.0 + x*y))", dxy=f"v / (1.0 + x*y)*({SLOPE} - x / (1.0 + x*y))",
       dyy=f"v*({SLOPE}*{SLOPE} + {CURVE})", domain=((-0.9, INF), UNIT), scipy="inv_boxcox",
       sym="(1 + x*y)**(1/y)"),
    Op("inv_boxcox1p", 2, v="special.inv_boxcox1p(x, y)", dx="(1.0 + v) / (1.0 + x*y)",
       dy=f"(1.0 + v)*{SLOPE}", dxx="(1.0 + v)*(1.0 - y) / ((1.0 + x*y)*(1.0 + x*y))",
       dxy=f"(1.0 + v) / (1.0 + x*y)*({SLOPE} - x / (1.0 + x*y))",
       dyy=f"(1.0 + v)*({SLOPE}*{SLOPE} + {CURVE})", domain=((-0.9, INF), UNIT), scipy="inv_boxcox1p",
       sym="(1 + x*y)**(1/y) - 1"),

    # Losses
    Op("huber", 2, v="special.huber(x, y)", dx="maximum(absolute(y) - x, 0.0)",
       dy="minimum(maximum(y, -x), x)", dxx="-greater(absolute(y), x)", dxy="sign(y)*greater(absolute(y), x)",
       dyy="less_equal(absolute(y), x)", domain=(POSITIVE, REAL), scipy="huber",
       sym="Piecewise((y**2/2, Abs(y) <= x), (x*(Abs(y) - x/2), True))"),
    Op("pseudo_huber", 2, v="special.pseudo_huber(x, y)",
       dx="divz(divz(y*y, hypot(x, y) + x)*divz(y*y, hypot(x, y) + x), hypot(x, y))",
       dy="divz(x*y, hypot(x, y))",
       dxx="-(2.0 + divz(x, hypot(x, y)))*divz(divz(y*y, hypot(x, y) + x), hypot(x, y))*divz(divz(y"
           "*y, hypot(x, y) + x), hypot(x, y))",
       dxy="divz(y, hypot(x, y))*divz(y, hypot(x, y))*divz(y, hypot(x, y))",
       dyy="divz(x, hypot(x, y))*divz(x, hypot(x, y))*divz(x, hypot(x, y))", domain=(POSITIVE, REAL),
       scipy="pseudo_huber", sym="x**2*(sqrt(1 + (y/x)**2) - 1)"),

    # Angles
    Op("cosm1", 1, v="special.cosm1(x)", dx="-sin(x)", dxx="-cos(x)", scipy="cosm1", sym="cos(x) - 1"),
    Op("sindg", 1, v="special.sindg(x)", dx="DEGREE*cosdg(x)", dxx="-DEGREE*DEGREE*v", domain=(-720.0, 720.0),
       scipy="sindg", sym="sin(pi*x/180)"),
    Op("cosdg", 1, v="special.cosdg(x)", dx="-DEGREE*sindg(x)", dxx="-DEGREE*DEGREE*v",
       domain=(-720.0, 720.0), scipy="cosdg", sym="cos(pi*x/180)"),
    Op("tandg", 1, v="special.tandg(x)", dx="DEGREE*(1.0 + v*v)", dxx="2.0*DEGREE*DEGREE*v*(1.0 + v*v)",
       domain=(-90.0, 90.0), scipy="tandg", sym="tan(pi*x/180)"),
    Op("cotdg", 1, v="special.cotdg(x)", dx="-DEGREE*(1.0 + v*v)", dxx="2.0*DEGREE*DEGREE*v*(1.0 + v*v)",
       domain=(0.0, 180.0), scipy="cotdg", sym="cot(pi*x/180)"),
    Op("radian", 3, v="special.radian(x, y, z)", dx="DEGREE", dy="DEGREE / 60.0", dz="DEGREE / 3600.0",
       scipy="radian", sym="pi*(x + y/60 + z/3600)/180"),
)
