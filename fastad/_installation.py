"""What is wrong with an installation that can not be imported, and what to do about it."""

import importlib.machinery
import sys
import sysconfig
from pathlib import Path

NUMPY = 2
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


def explain(error: ImportError | AttributeError) -> None:
    """Raises the ImportError that says what to do about an error met while fastad was imported; returns where nothing is known."""
    text = _numpy_is_missing_or_old() or _core_is_missing_or_foreign()
    name, path = (error.name or "").split(".")[0], getattr(error, "path", None)
    if not text and name in ("scipy", "optree"):
        text = f"fastad needs {name}, which can not be imported ({error}): pip install {name}"
    if not text and path is not None and path.startswith(str(_PACKAGE)) and "cannot import name" in str(error):
        text = (f"{path} is of another version than the rest of fastad ({error}): if this is a checkout, build it again with "
                f"{sys.executable} -m pip install -e .; else {sys.executable} -m pip install --force-reinstall fastad")
    if not text and path is not None and path.startswith(str(_PACKAGE)):
        text = (f"{path} can not be loaded ({error}): it is damaged or made for another machine than {sysconfig.get_platform()}; "
                f"{sys.executable} -m pip install --force-reinstall fastad")
    if text:
        raise ImportError(text, name=error.name, path=path) from error
