"""`python -m fastad`, and what an installation that can not work says."""

import os
import platform
import re
import shutil
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import numpy as np
import pytest

import fastad
from fastad import __main__ as report
from fastad import _installation
from fastad.core import simd

PACKAGE = Path(fastad.__file__).parent
COMPILED = (".so", ".pyd")


def run(code, folder=None, *options):
    done = subprocess.run([sys.executable, *options, "-c", textwrap.dedent(code)], capture_output=True, text=True,
                          cwd=folder or PACKAGE.parent)
    return done.returncode, done.stdout + done.stderr


def test_report_and_self_check():
    done = subprocess.run([sys.executable, "-m", "fastad"], capture_output=True, text=True, cwd=PACKAGE.parent)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = dict(line.split(maxsplit=1) for line in done.stdout.splitlines() if not line.startswith("check"))
    assert lines["fastad"].startswith(fastad.__version__)
    assert lines["NumPy"] == np.__version__
    assert set(lines) == {"fastad", "Python", "NumPy", "SciPy", "optree", "processor", "kernels", "threads", "BLAS", "self-check"}
    assert lines["kernels"] == simd.level()
    assert lines["self-check"].startswith("all right")
    assert float(re.search(r"\((.*) s\)", lines["self-check"])[1]) < 2.0


def test_the_kernels_asked_for_are_told():
    done = subprocess.run([sys.executable, "-m", "fastad"], capture_output=True, text=True, cwd=PACKAGE.parent,
                          env={**os.environ, "FASTAD_SIMD": "baseline"})
    best = simd.best_level()
    assert f"kernels    baseline{'' if best == 'baseline' else f', though {best} is to be had'}\n" in done.stdout


@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="there is one instruction set elsewhere")
def test_the_best_kernels_are_those_of_the_processor():
    features = report.import_module("numpy._core._multiarray_umath").__cpu_features__
    wide = all(features[name] for name in ("AVX512F", "AVX512DQ", "AVX512VL")) if "AVX512DQ" in features else features.get("AVX512_SKX")
    assert simd.best_level() == ("avx512" if wide else "avx2" if features["AVX2"] else "baseline")


@pytest.mark.parametrize("check", report.CHECKS, ids=lambda check: check.__name__)
def test_a_wrong_derivative_is_named(check, monkeypatch, capsys):
    def wrong():
        found, expected = check()
        return np.asarray(found) * (1.0 + 1e-9), expected

    wrong.__name__ = check.__name__
    monkeypatch.setattr(report, "CHECKS", tuple(wrong if one is check else one for one in report.CHECKS))
    assert report.main() == 1
    failed = [line for line in capsys.readouterr().out.splitlines() if "FAILED" in line]
    assert len(failed) == 2
    assert failed[0].startswith(f"check      {check.__name__}: FAILED, AssertionError")
    assert failed[1].startswith(f"self-check 1 of {len(report.CHECKS)} FAILED")


def test_an_exception_in_a_check_is_named(monkeypatch, capsys):
    def broken():
        raise FloatingPointError("no such luck")

    monkeypatch.setattr(report, "CHECKS", (broken,))
    assert report.main() == 1
    assert "check      broken: FAILED, FloatingPointError: no such luck" in capsys.readouterr().out


def test_blas_without_threadpoolctl(monkeypatch):
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    assert "pip install threadpoolctl" in dict(report.report())["BLAS"]


@pytest.fixture
def copied(tmp_path):
    """A folder with a copy of the package without its compiled modules."""
    shutil.copytree(PACKAGE, tmp_path / "fastad", ignore=shutil.ignore_patterns("*.so", "*.pyd", "__pycache__", "generated"))
    return tmp_path


def test_old_python(monkeypatch):
    code = """
        import sys
        sys.version_info = (3, 10, 12, "final", 0)
        sys.path.insert(0, {folder!r})
        import fastad
    """
    status, text = run(code.format(folder=str(PACKAGE.parent)))
    assert status == 1
    assert "ImportError: fastad needs Python 3.11 or newer; this is Python" in text


@pytest.mark.parametrize("version, says", [
    ("1.26.4", "fastad needs NumPy 2 or newer; this is NumPy 1.26.4: pip install 'numpy>=2'"),
    (None, "fastad needs NumPy, which can not be imported"),
])
def test_old_or_missing_numpy(tmp_path, version, says):
    (tmp_path / "numpy.py").write_text(f"__version__ = {version!r}\n" if version else "raise ModuleNotFoundError('No module')\n")
    status, text = run(f"import sys; sys.path.insert(0, {str(PACKAGE.parent)!r}); sys.path.insert(0, {str(tmp_path)!r}); import fastad")
    assert status == 1
    assert f"ImportError: {says}" in text


def test_a_missing_dependency():
    status, text = run("import sys; sys.modules['optree'] = None; import fastad")
    assert status == 1
    assert "ImportError: fastad needs optree, which can not be imported (No module named 'optree'): pip install optree" in text


def test_an_import_tried_again_says_the_same():
    code = """
        import numpy
        numpy.__version__ = "1.26.4"
        del numpy.trapezoid                  # one that old has none
        for _ in range(2):
            try:
                import fastad
            except ImportError as error:
                print(error)
    """
    status, text = run(code)
    assert (status, text.count("fastad needs NumPy 2 or newer; this is NumPy 1.26.4")) == (0, 2)


@pytest.mark.parametrize("functions", ["{}", "{'__pyx_fuse_0psi': None}"])
def test_another_scipy(functions):
    code = f"""
        import sys, types
        import fastad
        import scipy.special.cython_special as right
        sys.modules["scipy.special.cython_special"] = module = types.ModuleType("scipy.special.cython_special")
        module.__pyx_capi__ = {functions}
        try:
            fastad.grad(fastad.math.lgamma)(2.0)
        except ImportError as error:
            failed = error
        sys.modules["scipy.special.cython_special"] = right
        assert fastad.grad(fastad.math.lgamma)(2.0) > 0.4       # nothing is left of the failure
        raise failed
    """
    status, text = run(code)
    assert status == 1
    assert re.search(r"ImportError: fastad needs SciPy \d.* this is SciPy \d.*cython_special .*: pip install --upgrade fastad 'scipy>=", text)


def test_the_versions_named_are_those_required():
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
    scipy = f"scipy>={_installation.SCIPY}"
    assert f"numpy>={_installation.NUMPY}" in project["dependencies"]
    assert [name.partition(">")[0] for name in project["dependencies"]] == ["numpy", "optree"]
    assert project["optional-dependencies"]["scipy"] == [scipy]
    assert {extra for extra, names in project["optional-dependencies"].items() if scipy in names} == {"scipy", "test", "bench"}


def test_not_built(copied):
    status, text = run("import fastad", copied)
    assert status == 1
    assert f"ImportError: fastad in {copied / 'fastad'} has no compiled core for this Python" in text
    assert "-m pip install -e . (needs a C compiler)" in text


def test_built_for_another_machine(copied):
    (copied / "fastad" / "core" / "tape.cpython-399-riscv64-linux-gnu.so").write_bytes(b"")
    status, text = run("import fastad", copied)
    assert status == 1
    assert "is compiled for cpython-399-riscv64-linux-gnu, not for this Python" in text


def with_compiled(copied):
    """Copies the compiled modules beside their sources; returns the copied package."""
    for path in PACKAGE.rglob("*"):
        if path.suffix in COMPILED:
            shutil.copy(path, copied / "fastad" / path.relative_to(PACKAGE))
    return copied / "fastad"


def test_compiled_modules_of_another_version(copied):
    module = with_compiled(copied) / "math.py"
    module.write_text(module.read_text().replace("import math as _math", "import math as _math\nfrom .core.tape import not_there", 1))
    status, text = run("import fastad", copied)
    assert status == 1
    assert "is of another version than the rest of fastad (cannot import name 'not_there'" in text
    assert "build it again with" in text


def test_a_damaged_module(copied):
    with_compiled(copied)
    damaged = next(path for path in (copied / "fastad" / "core").glob("tape.*") if path.suffix in COMPILED)
    damaged.write_bytes(damaged.read_bytes()[:100])
    status, text = run("import fastad", copied)
    assert status == 1
    assert f"ImportError: {damaged} can not be loaded" in text


def test_other_errors_are_left_alone():
    _installation.explain(ImportError("something else", name="something"))
    _installation.explain(AttributeError("something else"))


def test_a_missing_extra_is_named(tmp_path):
    (tmp_path / "rich.py").write_text("raise ModuleNotFoundError('No module named rich', name='rich')\n")
    root = Path(__file__).parent.parent
    if not (root / "bench").exists():
        pytest.skip("not in a checkout")
    code = f"import runpy, sys; sys.path[:0] = [{str(tmp_path)!r}, {str(root)!r}]; sys.argv[1:] = []; runpy.run_module('bench', run_name='__main__')"
    assert run(code) == (2, 'python -m bench needs rich: pip install -e ".[bench]"\n')
