"""GradBench's problems: derivatives against differences and between eager and recorded, and the protocol, with bad input too."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench import cells  # noqa: E402
from bench.gradbench import gmm, ht, protocol  # noqa: E402
from bench.gradbench.problem import Eager, Recorded  # noqa: E402
from bench.gradbench.registry import EVALS  # noqa: E402
from bench.gradbench.tools import TOOLS  # noqa: E402
from bench.workloads import lorenz, process  # noqa: E402
from bench.workloads.registry import WORKLOADS  # noqa: E402

# What derivatives are checked by: (eval, function of values, function of derivatives).
PAIRS = [
    ("hello", "square", "double"),
    ("gmm", "objective", "jacobian"),
    ("llsq", "primal", "gradient"),
    ("lse", "primal", "gradient"),
    ("lstm", "objective", "jacobian"),
    ("det", "primal", "gradient"),
    ("ba", "objective", "jacobian"),
    ("ht", "objective", "jacobian"),
]
QUICK = [name for name in EVALS if name not in ("particle", "saddle")]


def arguments_of(name):
    problem = EVALS[name]
    return problem.read(problem.sample(*problem.sizes[0]))


def result(name, function, way, arguments):
    found = EVALS[name].functions[function]
    return found.flat(found.start(way, *arguments)())


def varied(arguments, k, step, at):
    """The arguments with one element of one of them moved."""
    moved = np.array(arguments[k], dtype=float)
    moved[at] += step
    return (*arguments[:k], moved if moved.ndim else float(moved), *arguments[k + 1 :])


def difference(f, arguments, k, at, h=1e-5):
    """A derivative by central differences of fourth order."""
    near, far = ((f(varied(arguments, k, s * h, at)) - f(varied(arguments, k, -s * h, at))) for s in (1.0, 2.0))
    return (8.0 * near - far) / (12.0 * h)


@pytest.mark.parametrize("name", QUICK)
def test_recorded_and_eager_agree(name):
    arguments = arguments_of(name)
    for function in EVALS[name].functions:
        eager, recorded = (result(name, function, way, arguments) for way in (Eager(), Recorded()))
        assert np.linalg.norm(eager - recorded) <= 1e-13 * np.linalg.norm(eager)
        assert np.all(np.isfinite(eager)) and np.any(eager)


@pytest.mark.parametrize(("name", "count"), [("hello", 1), ("gmm", 4), ("llsq", 1), ("lse", 1), ("lstm", 2), ("det", 1)])
def test_gradients_are_those_of_differences(name, count):
    _, value, derivative = next(pair for pair in PAIRS if pair[0] == name)
    arguments = arguments_of(name)
    gradient = result(name, derivative, Recorded(), arguments)
    rng, offset = np.random.default_rng(0), 0
    for k in range(count):
        size = np.size(arguments[k])
        for place in rng.choice(size, min(size, 3), replace=False):
            at = np.unravel_index(place, np.shape(arguments[k]))
            expected = difference(lambda moved: result(name, value, Eager(), moved)[0], arguments, k, at)
            assert gradient[offset + place] == pytest.approx(expected, rel=1e-7, abs=1e-8)
        offset += size
    assert offset == gradient.size


def test_ode_gradient_is_that_of_the_last_element():
    problem = EVALS["ode"]
    arguments = problem.read(problem.sample(4, 3))
    gradient = result("ode", "gradient", Recorded(), arguments)
    for place in range(4):
        expected = difference(lambda moved: result("ode", "primal", Eager(), moved)[-1], arguments, 0, place)
        assert gradient[place] == pytest.approx(expected, rel=1e-9)


def test_kmeans_direction_is_newtons():
    centroids, points = arguments_of("kmeans")
    found = result("kmeans", "dir", Recorded(), (centroids, points)).reshape(centroids.shape)
    nearest = np.argmin(np.sum((points[:, np.newaxis] - centroids) ** 2, axis=2), axis=1)
    means = np.stack([points[nearest == k].mean(axis=0) for k in range(len(centroids))])
    assert np.allclose(found, centroids - means, rtol=1e-12, atol=1e-14)


def test_ba_jacobian_holds_the_derivatives_of_an_observation():
    cameras, points, weight, feature, seen_by, seen = arguments_of("ba")
    cameras = cameras + np.random.default_rng(1).uniform(0.0, 0.1, cameras.shape)
    cameras[1, :3] = 0.0
    arguments = (cameras, points, weight, feature, seen_by, seen)
    starts, columns, values = EVALS["ba"].functions["jacobian"].start(Recorded(), *arguments)()
    count, n, m = len(weight), len(cameras), len(points)
    assert len(columns) == len(values) == starts[-1] == 31 * count and len(starts) == 3 * count + 1
    dense = np.zeros((3 * count, 11 * n + 3 * m + count))
    for row in range(3 * count):
        dense[row, columns[starts[row] : starts[row + 1]]] = values[starts[row] : starts[row + 1]]
    for k, at, column in ((0, (0, 2), 2), (0, (2, 9), 31), (1, (5, 1), 11 * n + 16), (2, (7,), 11 * n + 3 * m + 7)):
        expected = difference(lambda moved: result("ba", "objective", Eager(), moved), arguments, k, at)
        assert np.allclose(dense[:, column], expected, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("coordinates", [True, False], ids=["complicated", "simple"])
def test_ht_jacobian_holds_the_derivatives_of_its_own_coordinates_and_of_the_pose(coordinates):
    arguments = EVALS["ht"].read(ht.sample(12, 30, coordinates))
    jacobian = EVALS["ht"].functions["jacobian"].start(Recorded(), *arguments)()
    own = 2 if coordinates else 0
    assert jacobian.shape == (36, 26 + own)
    for column in (0, 4, 7, 25):
        expected = difference(lambda moved: result("ht", "objective", Eager(), moved), arguments, 0, column)
        assert np.allclose(jacobian[:, own + column], expected, rtol=1e-7, atol=1e-8)
    if coordinates:
        expected = difference(lambda moved: result("ht", "objective", Eager(), moved), arguments, 1, (5, 1))
        assert np.allclose(jacobian[15:18, 1], expected[15:18], rtol=1e-7) and np.allclose(
            np.delete(expected, range(15, 18)), 0.0
        )


def test_gmm_objective_is_the_posterior_of_densities():
    alpha, mu, q, l, x, _, gamma = EVALS["gmm"].read(gmm.sample(2, 3, 5))
    stats = pytest.importorskip("scipy.stats")
    weights = np.exp(alpha) / np.sum(np.exp(alpha))
    factors = [np.array([[np.exp(a), 0.0], [c, np.exp(b)]]) for (a, b), [c] in zip(q, l)]
    precisions = [factor.T @ factor for factor in factors]
    for m in (0, 2):
        likelihood = sum(
            w * stats.multivariate_normal(mean, np.linalg.inv(p)).pdf(x) for w, mean, p in zip(weights, mu, precisions)
        )
        prior = sum(stats.wishart(2 + m + 1, np.eye(2) / gamma**2).logpdf(p) for p in precisions)
        assert gmm.objective(alpha, mu, q, l, x, m, gamma) == pytest.approx(np.sum(np.log(likelihood)) + prior, rel=1e-12)


@pytest.mark.parametrize("function", ["rr", "rf", "fr", "ff"])
@pytest.mark.parametrize(("name", "expected"), [("particle", [0.2071918746486116]), ("saddle", [8.246324826140356e-06] * 4)])
def test_nested_searches_end_where_the_suite_says(name, expected, function):
    assert result(name, function, Recorded(), arguments_of(name)) == pytest.approx(expected, rel=1e-6)


def answers(*messages):
    lines = [message if isinstance(message, bytes) else json.dumps(message).encode() for message in messages]
    written = []
    protocol.serve(io.BytesIO(b"\n".join(lines)), written.append, Recorded())
    return [json.loads(line) for line in written]


def test_protocol_answers_a_session():
    sent = {"x": [0.5, 0.25], "min_runs": 3, "min_seconds": 0}
    start, define, value, gradient, analysis = answers(
        {"id": 0, "kind": "start", "eval": "lse"},
        {"id": 1, "kind": "define", "module": "lse"},
        {"id": 2, "kind": "evaluate", "module": "lse", "function": "primal", "input": sent, "description": "two"},
        {"id": 3, "kind": "evaluate", "module": "lse", "function": "gradient", "input": sent},
        {"id": 4, "kind": "analysis", "of": 3, "valid": True},
    )
    assert start == {"id": 0, "tool": "fastad"} and define == {"id": 1, "success": True} and analysis == {"id": 4}
    assert value["success"] and value["output"] == pytest.approx(np.log(np.exp(0.5) + np.exp(0.25)))
    assert [timing["name"] for timing in value["timings"]] == ["record"] + 3 * ["evaluate"]
    assert all(timing["nanoseconds"] > 0 for timing in gradient["timings"])
    assert gradient["output"] == pytest.approx(np.exp([0.5, 0.25]) / np.sum(np.exp([0.5, 0.25])))


BAD = {
    "not JSON": b"{'id': 1}",
    "cut off": b'{"id": 1, "kind": "eva',
    "not UTF-8": b'{"id": 1, "kind": "\xff"}',
    "nested too deep": b"[" * 100_000,
    "no object": [1, 2],
    "no kind": {"id": 1},
    "unknown module": {"kind": "define", "module": "nothing"},
    "module no text": {"kind": "define", "module": ["gmm"]},
    "unknown function": {"kind": "evaluate", "module": "det", "function": "inverse", "input": {"A": [1.0], "ell": 1}},
    "no input": {"kind": "evaluate", "module": "det", "function": "primal"},
    "field missing": {"kind": "evaluate", "module": "det", "function": "primal", "input": {"ell": 1}},
    "wrong length": {"kind": "evaluate", "module": "det", "function": "gradient", "input": {"A": [1.0], "ell": 2}},
    "ragged": {
        "kind": "evaluate",
        "module": "kmeans",
        "function": "cost",
        "input": {"points": [[1.0], [1.0, 2.0]], "centroids": [[1.0]]},
    },
    "text for a number": {"kind": "evaluate", "module": "hello", "function": "square", "input": "much"},
    "list for a number": {"kind": "evaluate", "module": "hello", "function": "double", "input": [1.0, 2.0]},
    "half a run": {"kind": "evaluate", "module": "lse", "function": "primal", "input": {"x": [1.0], "min_runs": 0.5}},
    "nothing to sum": {"kind": "evaluate", "module": "lse", "function": "gradient", "input": {"x": []}},
    "steps below one": {"kind": "evaluate", "module": "ode", "function": "gradient", "input": {"x": [1.0], "s": 0}},
}


@pytest.mark.parametrize("message", BAD.values(), ids=BAD)
def test_bad_messages_are_answered_and_the_tool_lives_on(message):
    refused, alive = answers(message, {"id": 7, "kind": "evaluate", "module": "hello", "function": "double", "input": 3.0})
    assert refused["success"] is False and refused["error"]
    assert alive["id"] == 7 and alive["output"] == 6.0


@pytest.mark.parametrize("name", QUICK)
def test_shapes_that_do_not_fit_are_refused(name):
    if name == "hello":
        return
    good = EVALS[name].sample(*EVALS[name].sizes[0])
    for field in good:
        bad = dict(good)
        del bad[field]
        if name == "ht" and field == "us":
            continue
        for data in (bad, {**bad, field: [[[1.0]]]}, {**bad, field: "text"}, {**bad, field: None}):
            messages = {"id": 1, "kind": "evaluate", "module": name, "function": next(iter(EVALS[name].functions)), "input": data}
            if field in ("bone_count", "min_runs"):
                continue
            assert answers(messages)[0]["success"] is False, (field, data.get(field))


BY_HAND = ["gmm", "ba", "kmeans", "llsq", "lse", "lstm", "ode", "det"]


@pytest.fixture(scope="module")
def in_c():
    from bench.gradbench import tools

    try:
        return tools.load("C", "gmm").PROBLEMS
    except (ModuleNotFoundError, OSError):
        pytest.skip("no C compiler")


@pytest.mark.parametrize("name", BY_HAND)
def test_derivatives_in_c_are_those_of_programs(name, in_c):
    arguments = arguments_of(name)
    problem = EVALS[name]
    expected = result(name, problem.timed, Recorded(), arguments)
    assert np.linalg.norm(problem.functions[problem.timed].flat(in_c[name](*arguments)()) - expected) <= 1e-12 * np.linalg.norm(
        expected
    )


@pytest.mark.parametrize("name", ["particle", "saddle"])
def test_searches_by_hand_end_where_programs_end(name):
    from bench.gradbench.tools import python_models

    found = np.ravel(python_models.PROBLEMS[name](*arguments_of(name))())
    assert found == pytest.approx(result(name, "rr", Recorded(), arguments_of(name)), rel=1e-9)


@pytest.mark.parametrize("name", WORKLOADS)
def test_workloads_have_the_slope_of_differences(name):
    problem = WORKLOADS[name]
    arguments = problem.sample(*problem.sizes[0])
    gradients = [problem.functions["gradient"].start(way, *arguments)() for way in (Eager(), Recorded())]
    eager, recorded = (np.concatenate([np.ravel(part) for part in parts]) for parts in gradients)
    assert np.linalg.norm(eager - recorded) <= 1e-12 * np.linalg.norm(eager)
    directions = [np.random.default_rng(k).normal(size=np.shape(arguments[k])) for k in problem.argnums]

    def along(t):
        moved = list(arguments)
        for k, direction in zip(problem.argnums, directions):
            moved[k] = (
                (np.asarray(arguments[k]) + t * direction).tolist()
                if isinstance(arguments[k], list)
                else arguments[k] + t * direction
            )
        return problem.function(*moved)

    h = 1e-4
    slope = (8.0 * (along(h) - along(-h)) - (along(2.0 * h) - along(-2.0 * h))) / (12.0 * h)
    assert np.dot(eager, np.concatenate([np.ravel(direction) for direction in directions])) == pytest.approx(slope, rel=1e-6)


# PyTensor compiles a loop of steps for most of a minute.
UNHURRIED = {"PyTensor": {"nbody", "lorenz", "language", "process", "heat", "markov"}}
GRADIENTS = """
import json, sys
from bench.cell import flattened
from bench.gradbench.tools import load
from bench.workloads.registry import WORKLOADS

found = {}
for name, problem in WORKLOADS.items():
    module = load(sys.argv[1], name)
    if name not in module.PROBLEMS:
        found[name] = module.UNABLE.get(name, "not written")
    elif name not in sys.argv[2:]:
        found[name] = flattened(problem, module.PROBLEMS[name](*problem.sample(*problem.sizes[0]))()).tolist()
print(json.dumps(found))
"""


@pytest.mark.parametrize("tool", [name for name, tool in TOOLS.items() if tool.peer])
def test_workloads_by_other_tools_have_the_same_gradients_or_a_reason(tool, tmp_path):
    environment = os.environ | {"PYTENSOR_FLAGS": f"base_compiledir={tmp_path}"}
    command = [sys.executable, "-c", GRADIENTS, tool, *UNHURRIED.get(tool, ())]
    done = subprocess.run(command, cwd=cells.ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode and "ModuleNotFoundError" in done.stderr.splitlines()[-1]:
        pytest.skip(f"{tool} is not installed")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(WORKLOADS) - set(found) == UNHURRIED.get(tool, set())
    for name, numbers in found.items():
        if isinstance(numbers, str):
            assert numbers != "not written", name
            continue
        problem = WORKLOADS[name]
        gradient = problem.functions["gradient"].start(Eager(), *problem.sample(*problem.sizes[0]))()
        expected = np.concatenate([np.ravel(part) for part in gradient])
        assert np.linalg.norm(numbers - expected) <= cells.TOLERANCE * np.linalg.norm(expected), name


@pytest.mark.parametrize(("name", "form"), [("lorenz", lorenz.end_of_array), ("process", process.by_columns)])
def test_other_forms_of_a_workload_have_its_gradient(name, form):
    problem = WORKLOADS[name]
    arguments = [np.array(x) if isinstance(x, list) else x for x in problem.sample(*problem.sizes[0])]
    found, expected = (Eager().gradient(f, *arguments, argnums=problem.argnums)() for f in (form, problem.function))
    assert all(one == pytest.approx(other, rel=1e-12) for one, other in zip(found, expected, strict=True))


def test_cells_that_fail_are_marked_and_the_others_stand():
    pytest.importorskip("threadpoolctl", reason="the bench extra is not installed")
    ok, absent, late = (
        next(iter(cells.run("det", (3,), [tool], limit)))
        for tool, limit in (("plain f", 60.0), ("nothing", 60.0), ("fastad", 0.01))
    )
    assert ok.status == "ok" and ok.figures["later"] > 0.0 and ok.seconds > 0.0
    assert absent.status == "crashed" and "nothing" in absent.word
    assert late.status == "timeout" and late.seconds is None


def test_wrong_numbers_are_marked():
    tools = {
        "C": np.array([1.0, 2.0]),
        "fastad": np.array([1.0, 2.0 + 1e-13]),
        "JAX": np.array([1.0, 2.1]),
        "PyTorch": np.array([1.0]),
        "autograd": np.array([1.0, np.nan]),
    }
    group = [cells.Cell("lse", [2], tool) for tool in tools]
    cells.check(group, tools)
    assert [cell.status for cell in group] == ["ok", "ok", "wrong", "wrong", "wrong"]
    assert group[1].error <= 1e-13 and "C" in group[2].word


def test_a_run_leaves_tables_charts_and_a_page(tmp_path, monkeypatch):
    for library in ("rich", "matplotlib", "threadpoolctl"):
        pytest.importorskip(library)
    from rich.console import Console

    from bench import comparison
    from bench.__main__ import parsed
    from bench.gradbench import suite

    monkeypatch.setattr(comparison, "OURS", ("fastad", "plain f"))
    options = parsed(["--suite", "gradbench", "--size", "small", "--peer", "none", "--problem", "lse", "--out", str(tmp_path)])
    console = Console(record=True, width=120, file=io.StringIO())
    assert suite.run(options, console)
    shown = console.export_text()
    assert "lse (2,500)" in shown and "plain f" in shown
    found = json.loads((tmp_path / "gradbench.json").read_text())
    assert [(cell["tool"], cell["status"]) for cell in found["cells"]] == [("fastad", "ok"), ("plain f", "ok")]
    assert found["machine"]["threads"] == 1
    assert (tmp_path / "gradbench-memory.png").stat().st_size and "lse (2500)" in (tmp_path / "gradbench.html").read_text(
        encoding="utf-8"
    )
