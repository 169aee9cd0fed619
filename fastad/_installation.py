"""What is wrong with an installation, and what to do about it."""

import importlib.machinery
import sys
import sysconfig
from pathlib import Path
from typing import Any

NUMPY, SCIPY = 2, "1.17"
_PACKAGE = Path(__file__).parent


def _numpy_is_missing_or_old() -> str:
    try:
        import numpy
    except ImportError as error:
        return f"fastad needs NumPy, which can not be imported ({error}): pip install 'numpy>={NUMPY}'"
    if int(numpy.__version__.split(".")[0]) < NUMPY:
        return f"fastad needs NumPy {NUMPY} or newer; this is NumPy {numpy.__version__}: pip install 'numpy>={NUMPY}'"
    return ""


def _core_is_missing_or_foreign() -> str:
    if any((_PACKAGE / "core" / f"tape{suffix}").exists() for suffix in importlib.machinery.EXTENSION_SUFFIXES):
        return ""
    others = sorted(path.name.split(".")[1] for path in (_PACKAGE / "core").glob("tape.*")
                    if path.suffix in (".so", ".pyd") and path.name.count(".") > 1)
    here = f"this Python {sys.version.split()[0]} on {sysconfig.get_platform()}"
    if others:
        return (f"fastad in {_PACKAGE} is compiled for {', '.join(others)}, not for {here} "
                f"({sysconfig.get_config_var('SOABI') or importlib.machinery.EXTENSION_SUFFIXES[0]}): "
                f"{sys.executable} -m pip install --force-reinstall fastad")
    return (f"fastad in {_PACKAGE} has no compiled core for {here}: if this is a checkout, build it with "
            f"{sys.executable} -m pip install -e . (needs a C compiler); else {sys.executable} -m pip install --force-reinstall fastad")


def is_old_scipy(version: str) -> bool:
    """Whether special functions need a newer SciPy than this one."""
    return [int(part) for part in version.split(".")[:2]] < [int(part) for part in SCIPY.split(".")]


def scipy_special(function: str) -> Any:
    """scipy.special, which `function` needs; ImportError that says what to install where it is missing or old."""
    try:
        import scipy.special
    except ImportError as error:
        raise ImportError(f"{function} needs SciPy, which can not be imported ({error}): pip install 'fastad[scipy]'",
                          name="scipy") from error
    if is_old_scipy(scipy.__version__):
        raise ImportError(f"{function} needs SciPy {SCIPY} or newer; this is SciPy {scipy.__version__}: "
                          "pip install --upgrade 'fastad[scipy]'", name="scipy")
    return scipy.special


def _scipy_is_another(error: Exception) -> str:
    # core.special asks cython_special for functions in C: SciPy may not have one, or have it with other arguments.
    if "cython_special" not in str(error):
        return ""
    import scipy
    return (f"fastad needs SciPy {SCIPY} or newer with the functions it was compiled for; this is SciPy {scipy.__version__} "
            f"({error}): pip install --upgrade fastad 'scipy>={SCIPY}'")


def explain(error: Exception) -> None:
    """Raises the ImportError that says what to do about an error met while fastad, or a part of it, was imported; returns where it
    knows nothing."""
    text = _numpy_is_missing_or_old() or _core_is_missing_or_foreign() or _scipy_is_another(error)
    name, path = (getattr(error, "name", None) or "").split(".")[0], getattr(error, "path", None)
    if not text and name == "optree":
        text = f"fastad needs optree, which can not be imported ({error}): pip install optree"
    if not text and path is not None and path.startswith(str(_PACKAGE)) and "cannot import name" in str(error):
        text = (f"{path} is of another version than the rest of fastad ({error}): if this is a checkout, build it again with "
                f"{sys.executable} -m pip install -e .; else {sys.executable} -m pip install --force-reinstall fastad")
    if not text and path is not None and path.startswith(str(_PACKAGE)):
        text = (f"{path} can not be loaded ({error}): it is damaged or made for another machine than {sysconfig.get_platform()}; "
                f"{sys.executable} -m pip install --force-reinstall fastad")
    if text:
        raise ImportError(text, name=name or None, path=path) from error
