"""Without SciPy everything but the special functions works; these say what to install, and leave nothing behind."""

import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import scipy.special

import fastad

HIDDEN = """
    import sys
    class Hidden:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] == "scipy":
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    sys.meta_path.insert(0, Hidden())
"""
OLD = """
    import scipy
    scipy.__version__ = "1.16.3"
"""
MISSING = r" needs SciPy, which can not be imported \(No module named 'scipy'\): pip install 'fastad\[scipy\]'$"
TOO_OLD = r" needs SciPy 1.17 or newer; this is SciPy 1.16.3: pip install --upgrade 'fastad\[scipy\]'$"
IMPORTS = """
    import sys
    import numpy as np
    import fastad
    from fastad import math
    x = np.linspace(0.1, 0.9, 5)
    def said(function, *args):
        try:
            return function(*args)
        except ImportError as error:
            print(error)
"""


def run(*parts, arguments=()):
    """What a Python prints that runs these pieces of code one after the other."""
    code = "\n".join(map(textwrap.dedent, parts))
    done = subprocess.run([sys.executable, "-W", "error", "-c", code, *map(str, arguments)], capture_output=True, text=True,
                          cwd=Path(fastad.__file__).parent.parent)
    assert done.returncode == 0, done.stderr
    return done.stdout


# Expressions of `x`, an array of five numbers, that need no special function.
WORKS = {
    "scalars": "fastad.hessian(lambda y: y * math.sin(y) ** 2.5)(0.7)",
    "erf": "fastad.hessian(lambda y: math.erf(y) * math.erfc(2.0 * y))(0.7)",
    "plain numbers": "math.gamma(2.5) + math.lgamma(2.5)",
    "arrays": "fastad.hessian(lambda x: np.sum(np.tanh(x) * np.sinc(x) * np.cbrt(x)))(x)",
    "logaddexp": "fastad.hessian(lambda x: np.sum(np.logaddexp(x, np.sin(x)) + np.logaddexp2(x, 0.5)))(x)",
    "linear algebra": "fastad.hessian(lambda x: np.linalg.slogdet(np.outer(x, x) + np.eye(5))[1] + np.linalg.inv(np.diag(x)).sum())(x)",
    "programs": "(lambda f: [f.grad(x), f.grad(2.0 * x), *f.hessian(x)])(fastad.record(lambda x: np.sum(np.logaddexp(x, x @ x))))",
    "maps": "fastad.record(lambda y: math.sin(y) * math.erf(y) if y > 0.4 else np.logaddexp(y, 1.0)).map(x, what='grad')",
    "scan": "fastad.grad(lambda x: fastad.scan(lambda y, t: (y * t + 1.0, y), 1.0, x)[0])(x)",
    "checks": "fastad.check_derivatives(lambda x: np.sum(np.exp(x)), x) or 0.0",
    "explain": "len(str(fastad.record(lambda x: np.sum(np.logaddexp(x, 1.0))).explain(x)))",
}


@pytest.fixture(scope="module")
def without():
    """What WORKS gives without SciPy, and without asking for it."""
    code = f"""
        import json
        for name, text in {WORKS!r}.items():
            print(json.dumps([name, np.array(eval(text)).tolist()]))
        assert not any(name.partition(".")[0] == "scipy" for name in sys.modules)
    """
    return dict(map(json.loads, run(HIDDEN, IMPORTS, code).splitlines()))


@pytest.mark.parametrize("name", WORKS)
def test_what_needs_no_scipy_is_the_same_without(name, without):
    names = {"np": np, "fastad": fastad, "math": fastad.math, "x": np.linspace(0.1, 0.9, 5)}
    assert without[name] == np.array(eval(WORKS[name], names)).tolist()


def test_a_program_is_saved_and_loaded(tmp_path):
    saved = """
        f = fastad.record(fastad.grad(lambda x: np.sum(np.logaddexp(x, x[0]) @ np.sin(x))))
        f(x)
        f.save(sys.argv[1])
        assert (fastad.load(sys.argv[1])(x) == f(x)).all()
        print(*f(x))
    """
    expected = run(HIDDEN, IMPORTS, saved, arguments=[tmp_path / "f.fastad"])
    assert " ".join(map(str, fastad.load(tmp_path / "f.fastad")(np.linspace(0.1, 0.9, 5)))) == expected.strip()


# What asks for SciPy, and a function of `x` in which it does.
NEEDS = [
    ("fastad.math.gamma", "lambda x: fastad.grad(math.gamma)(2.0)"),
    ("fastad.math.lgamma", "lambda x: fastad.record(math.lgamma).grad(2.0)"),
    ("fastad.math.fma", "lambda x: fastad.grad(lambda y: math.fma(y, y, 1.0))(2.0)"),
    ("fastad.math.sumprod", "lambda x: fastad.grad(lambda y: math.sumprod([y, 2.0], [y, y]))(2.0)"),
    ("fastad.math.gamma", "lambda x: fastad.record(lambda y: math.gamma(y)).map(x)"),
    ("the derivative of np.i0", "fastad.grad(lambda x: np.sum(np.i0(x)))"),
    ("the derivative of np.i0", "fastad.record(lambda x: np.sum(np.i0(x))).grad"),
]


@pytest.mark.parametrize("missing, message", [(HIDDEN, MISSING), (OLD, TOO_OLD)], ids=["missing", "old"])
def test_what_needs_scipy_says_so(missing, message):
    code = f"""
        for _, function in {NEEDS!r}:
            said(eval(function), x)
            assert fastad.grad(lambda x: x * x)(3.0) == 6.0
    """
    lines = run(missing, IMPORTS, code).splitlines()
    for line, (name, _) in zip(lines, NEEDS, strict=True):
        assert re.match(name + message, line)


def test_the_value_of_i0_needs_no_scipy():
    assert run(HIDDEN, IMPORTS, "print(fastad.record(lambda x: np.sum(np.i0(x)))(x) == np.sum(np.i0(x)))") == "True\n"


@pytest.mark.parametrize("function, asked", [
    (lambda x: np.sum(scipy.special.gammaln(x)), "scipy.special.gammaln"),
    (lambda x: np.sum(scipy.special.erf(x)), "scipy.special.erf"),
    (lambda x: fastad.math.lgamma(x[0]), "fastad.math.lgamma"),
], ids=["array", "elementary", "scalar"])
@pytest.mark.parametrize("missing, message", [(HIDDEN, MISSING), (OLD, TOO_OLD)], ids=["missing", "old"])
def test_a_file_with_a_special_function_says_so(function, asked, missing, message, tmp_path):
    program = fastad.record(function)
    program(np.linspace(0.1, 0.9, 5))
    program.save(tmp_path / "f.fastad")
    [line] = run(missing, IMPORTS, "said(fastad.load, sys.argv[1])", arguments=[tmp_path / "f.fastad"]).splitlines()
    assert re.match(re.escape(asked) + message, line)


def test_special_functions_of_an_old_scipy():
    code = """
        import scipy.special as special
        said(fastad.grad(special.psi), 2.0)
        said(fastad.grad(lambda x: np.sum(special.gammaln(x))), x)
        said(fastad.grad(lambda x: np.sum(special.fresnel(x)[0])), x)
        assert fastad.grad(special.erf)(0.0) == fastad.grad(lambda x: np.sum(special.erf(x)))(np.zeros(1))[0] > 1.0
    """
    lines = run(OLD, IMPORTS, code).splitlines()
    assert len(lines) == 3
    for line, name in zip(lines, ("psi", "gammaln", "fresnel"), strict=True):
        assert re.match(f"scipy.special.{name}{TOO_OLD}", line)


def test_nothing_is_left_of_a_failure():
    code = """
        f, g = fastad.record(lambda x: np.sum(np.i0(x))), fastad.record(math.lgamma)
        for _ in range(2):
            said(f.grad, x), said(g.grad, 2.5), said(fastad.grad(math.gamma), 2.5)
        del sys.meta_path[0]
        import scipy.special
        np.testing.assert_allclose(f.grad(x), scipy.special.i1(x), rtol=1e-14)
        np.testing.assert_allclose(g.grad(2.5), scipy.special.psi(2.5), rtol=1e-14)
        np.testing.assert_allclose(fastad.grad(math.gamma)(2.5), scipy.special.gamma(2.5) * scipy.special.psi(2.5), rtol=1e-14)
        print(f.stats["eager"], g.stats["eager"])
    """
    lines = run(HIDDEN, IMPORTS, code).splitlines()
    assert len(lines) == 7 and lines[-1] == "[] []"


@pytest.mark.parametrize("missing, there, message", [
    (HIDDEN, "not installed (special functions need it)", MISSING), (OLD, "1.16.3 (special functions need 1.17 or newer)", TOO_OLD)],
    ids=["missing", "old"])
def test_self_check(missing, there, message):
    lines = run(missing, "import runpy\nrunpy.run_module('fastad', run_name='checked')['main']()").splitlines()
    assert f"SciPy      {there}" in lines
    [left_out] = [line for line in lines if line.startswith("check") and not line.endswith(": right")]
    assert re.match("check      special: left out, fastad.math.lgamma" + message, left_out)
    assert lines[-1].startswith("self-check all right")
