"""The op table's rules as SymPy expressions, and their proof by algebra or 30 digits at rational points."""

import ast
import functools

import mpmath
import sympy
from sampling import points
from sympy import Rational, pi, sqrt

from fastad.table import ELEMENTARY, OPERANDS, SPECIAL

ROWS = {op.name: op for op in ELEMENTARY + SPECIAL}
DIGITS = 30

EXACT = {
    "PI": pi, "LN2": sympy.log(2), "LN10": sympy.log(10), "DEGREE": pi / 180, "RADIAN": 180 / pi,
    "TWO_OVER_SQRT_PI": 2 / sqrt(pi), "ONE_OVER_SQRT_2PI": 1 / sqrt(2 * pi), "ONE_OVER_PI": 1 / pi,
    "SQRT_PI": sqrt(pi), "SQRT_HALF": sqrt(2) / 2, "SQRT_2_OVER_PI": sqrt(2 / pi),
}


def _truth(relation):
    return lambda x, y: sympy.Piecewise((1, relation(x, y)), (0, True))


# What rules mean by rows that are no smooth functions, away from their jumps and from NaN.
MEANING = {
    "greater": _truth(sympy.Gt), "less": _truth(sympy.Lt), "less_equal": _truth(sympy.Le),
    "equal": _truth(sympy.Eq), "not_equal": _truth(sympy.Ne), "isnan": lambda x: sympy.Integer(0),
    "rint": lambda x: sympy.floor(x + Rational(1, 2)), "copysign": lambda x, y: sympy.Abs(x) * sympy.sign(y),
    "ldexp": lambda x, y: x * 2**y,
}

def _amplitude(u, m):
    half_turns = mpmath.nint(u / (2 * mpmath.ellipk(m)))
    return half_turns * mpmath.pi + (-1) ** int(half_turns) * mpmath.asin(mpmath.ellipfun("sn", u, m=m))


def _voigt(n, x, sigma, gamma):
    def profile(t):
        z = mpmath.mpc(t, gamma) / (sigma * mpmath.sqrt(2))
        faddeeva = mpmath.exp(-z * z) * mpmath.erfc(mpmath.mpc(z.imag, -z.real))
        return faddeeva / (sigma * mpmath.sqrt(2 * mpmath.pi))
    return mpmath.diff(profile, x, int(n))


def _smirnov(m, n, d):
    def tail(t):
        terms = (mpmath.binomial(n, k) * (t + k / n) ** (k - 1) * (1 - t - k / n) ** (n - k)
                 for k in range(int(n * (1 - d)) + 1))
        return t * mpmath.fsum(terms)
    return mpmath.diff(tail, d, int(m))


def _kolmogorov(n, x):
    def tail(t):
        terms = (mpmath.exp(-(((2 * k - 1) * mpmath.pi / t) ** 2) / 8) for k in range(1, 30))
        return 1 - mpmath.sqrt(2 * mpmath.pi) / t * mpmath.fsum(terms)
    return mpmath.diff(tail, x, int(n))


# Functions `sym` may name beside those of SymPy and mpmath; NAME_n is a derivative, of the order operand 0.
NUMERIC = {
    "DiracDelta": lambda x, order=0: mpmath.mpf(0), "erfcinv": lambda x: mpmath.erfinv(1 - x),
    "airyaiprime": lambda x: mpmath.airyai(x, derivative=1),
    "airybiprime": lambda x: mpmath.airybi(x, derivative=1),
    "jacobi_sn": lambda u, m: mpmath.ellipfun("sn", u, m=m),
    "jacobi_cn": lambda u, m: mpmath.ellipfun("cn", u, m=m),
    "jacobi_dn": lambda u, m: mpmath.ellipfun("dn", u, m=m), "jacobi_am": _amplitude, "voigt_n": _voigt,
    "smirnov_n": _smirnov, "kolmogorov_n": _kolmogorov,
    "betainc_regularized": lambda a, b, low, high: mpmath.betainc(a, b, low, high, regularized=True),
    "zeta_n": lambda n, s, q: mpmath.zeta(s, q, int(n)),
}


class NoForm(Exception):
    """A row without a symbolic form."""


class _ToSymPy(ast.NodeTransformer):
    """Decimals become fractions, and `mulz` of zero does not look at its second operand."""

    def visit_Constant(self, constant):
        return ast.Call(ast.Name("Rational", ast.Load()), [ast.Constant(repr(constant.value))], [])

    def visit_Call(self, call):
        self.generic_visit(call)
        if call.func.id != "mulz":
            return call
        first, second = call.args
        is_zero = ast.Compare(first, [ast.Eq()], [ast.Constant(0)])
        return ast.IfExp(is_zero, first, ast.BinOp(first, ast.Mult(), second))


def rule(text, operands, value):
    """A rule as an expression; operands and value are expressions."""
    tree = ast.fix_missing_locations(_ToSymPy().visit(ast.parse(text, mode="eval")))
    calls = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call)} - {"Rational"}
    names = EXACT | dict(zip(OPERANDS, operands)) | {"v": value, "Rational": Rational}
    names |= {name: MEANING.get(name) or functools.partial(form, ROWS[name]) for name in calls}
    return eval(compile(tree, text, "eval"), names)


@functools.cache
def form(op, *operands):
    """The value of a row for operands that are expressions. NoForm where the table has none."""
    text = op.v.replace("special.", "") if op.sym is None else op.sym
    if not text:
        raise NoForm(op.name)
    # Derivatives in `sym` are by its own operands, whatever these are replaced by later.
    own = [sympy.Dummy(name, positive=x.is_positive, real=True) if x.free_symbols else x
           for name, x in zip(OPERANDS, operands)]
    names = dict(zip(OPERANDS, own)) | EXACT
    for node in ast.walk(ast.parse(text, mode="eval")):
        if isinstance(node, ast.Call) and not hasattr(sympy, node.func.id):
            names[node.func.id] = sympy.Function(node.func.id)
    expression = sympy.sympify(text, locals=names)
    expression = expression.replace(
        sympy.Derivative, lambda *parts: sympy.Derivative(*parts).doit(deep=False))
    return expression.xreplace(dict(zip(own, operands)))


def symbols(op):
    """One symbol per operand, with what its domain says about its sign."""
    return [sympy.Symbol(name, positive=True) if low >= 0.0 else sympy.Symbol(name, real=True)
            for name, (low, _) in zip(OPERANDS, op.domain)]


def rational_points(op, count):
    """Points of the domain as tuples of fractions."""
    return [tuple(Rational(round(1024 * x), 1024) for x in point) for point in points(op, count)]


def evaluate(expression, operands, point):
    """A number of DIGITS digits."""
    return sympy.lambdify(operands, expression, [NUMERIC, "mpmath"])(*(mpmath.mpf(x.p) / x.q for x in point))


def derivative_at(value, operands, wrt, point):
    """The partial of an expression by `wrt` (operands), SymPy's as far as it goes, then numerically."""
    wrt = list(wrt)
    while wrt:
        slope = sympy.diff(value, wrt[0])
        if slope.has(sympy.Derivative, sympy.Subs):
            break
        value, wrt = slope, wrt[1:]
    if not wrt:
        return evaluate(value, operands, point)
    function = sympy.lambdify(operands, value, [NUMERIC, "mpmath"])
    at = tuple(mpmath.mpf(x.p) / x.q for x in point)
    return mpmath.diff(function, at, tuple(wrt.count(x) for x in operands))


def _is_zero(expression):
    # Long expressions cost more to expand than to evaluate.
    return expression.count_ops() < 80 and sympy.expand(expression) == 0


def prove(op, partial):
    """Proves one partial of a row (AssertionError if it is wrong): a list of points with the partial there.

    The proof is that SymPy's derivative is the rule term by term or else that they agree to 15 digits of 30.
    """
    text = op.partials.get(partial, "0.0")
    proved = []
    for point in rational_points(op, 2 if op.arity < 3 else 1):
        operands = [x if k in op.order else symbol for k, (symbol, x) in enumerate(zip(symbols(op), point))]
        wrt = [operands[OPERANDS.index(k)] for k in partial[1:]]
        value = form(op, *operands)
        given = rule(text, operands, value)
        names, here = zip(*((name, x) for name, x in zip(operands, point) if name.is_Symbol))
        with mpmath.workdps(DIGITS):
            got = evaluate(given, names, here)
            if not _is_zero(sympy.diff(value, *wrt) - given):
                true = derivative_at(value, names, wrt, here)
                assert abs(got - true) <= mpmath.mpf(10) ** (15 - DIGITS) * (1 + abs(true)), (
                    f"{op.name}: {partial} = {text} is {float(got)}, not {float(true)}, at {point}")
            proved.append((tuple(float(x) for x in point), float(mpmath.re(got))))
    return proved


def value(op, point):
    """The value of a row to 30 digits, as a float."""
    operands = [x if k in op.order else symbol for k, (symbol, x) in enumerate(zip(symbols(op), point))]
    names, here = zip(*((name, x) for name, x in zip(operands, point) if name.is_Symbol))
    with mpmath.workdps(DIGITS):
        return float(mpmath.re(evaluate(form(op, *operands), names, here)))
