"""What is built for a release: the wheels of every platform, the workflows, the version."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PYTHONS = ("cp311", "cp312", "cp313", "cp314", "cp314t")

# (platform, architecture as its runner is told) -> the platform parts of the identifiers.
WHEELS = {
    ("linux", "x86_64"): ("manylinux_x86_64", "musllinux_x86_64"),
    ("linux", "aarch64"): ("manylinux_aarch64", "musllinux_aarch64"),
    ("macos", "x86_64"): ("macosx_x86_64",),
    ("macos", "arm64"): ("macosx_arm64",),
    ("windows", "AMD64"): ("win_amd64",),
    ("windows", "ARM64"): ("win_arm64",),
}

pytestmark = pytest.mark.skipif(not WORKFLOWS, reason="not in a checkout")


@pytest.mark.parametrize("platform, archs", WHEELS, ids="-".join)
def test_build_identifiers(platform, archs):
    pytest.importorskip("cibuildwheel")
    done = subprocess.run([sys.executable, "-m", "cibuildwheel", "--print-build-identifiers", "--platform", platform,
                           "--archs", archs, str(ROOT)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    expected = [f"{python}-{where}" for where in WHEELS[platform, archs] for python in PYTHONS]
    assert sorted(done.stdout.split()) == sorted(expected)


def test_every_platform_has_a_runner():
    text = (ROOT / ".github" / "workflows" / "wheels.yml").read_text()
    assert sorted(re.findall(r"\{runner: \S+, archs: (\w+)\}", text)) == sorted(archs for _, archs in WHEELS)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_hash(path):
    used = re.findall(r"uses: *(\S+)(.*)", path.read_text())
    assert used
    for action, comment in used:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action), f"{action} is not pinned by hash"
        assert re.fullmatch(r" # v\d+(\.\d+)*", comment), f"{action} does not say which release it is"


def test_workflows_pass_actionlint():
    actionlint = shutil.which("actionlint") or shutil.which("actionlint", path=str(Path(sys.executable).parent))
    if actionlint is None:
        pytest.skip("actionlint is not installed")
    done = subprocess.run([actionlint, *map(str, WORKFLOWS)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_versions_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["dynamic"] == ["version"]
    version = re.search(r'__version__ = "(.+)"', (ROOT / "fastad" / "_version.py").read_text())[1]
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {version}\n" in citation
    assert f"\nlicense: {project['license']}\n" in citation
    pythons = {text.rpartition(" ")[2] for text in project["classifiers"] if re.search(r":: 3\.\d+$", text)}
    assert pythons == {f"3.{name[3:]}" for name in PYTHONS if not name.endswith("t")}


def test_each_module_says_whether_it_needs_the_gil():
    needs = re.search(r"^NEEDS_GIL = \{(.*?)\}", (ROOT / "setup.py").read_text(), re.MULTILINE)[1]
    for module in (ROOT / "fastad").rglob("*.pyx"):
        name = ".".join(module.relative_to(ROOT).with_suffix("").parts)
        c_file = ROOT / "build" / "cython" / module.relative_to(ROOT).with_suffix(".c")
        if not c_file.exists() or c_file.stat().st_mtime < (ROOT / "setup.py").stat().st_mtime:
            pytest.skip("build/cython has no C newer than setup.py")
        said = re.findall(r"#define __Pyx_FREETHREADING_COMPATIBLE (\w+)", c_file.read_text())[-1]
        assert said == ("Py_MOD_GIL_USED" if f'"{name}"' in needs else "Py_MOD_GIL_NOT_USED"), name
