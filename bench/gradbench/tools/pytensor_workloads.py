"""The workloads by PyTensor, as its evals; loops of many steps are scans."""

from types import SimpleNamespace

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.tensor import linalg

from bench.gradbench.tools.pytensor_models import compiled, symbols_for
from bench.peers import module_on
from bench.workloads import heat, lorenz, nbody
from bench.workloads.registry import WORKLOADS


def solve(factor, y):
    return linalg.solve_triangular(factor, y, lower=True)


def sqrt(x):
    """The square root: PyTensor's own of a Python float is float32."""
    return pt.sqrt(pt.as_tensor(x, dtype="float64"))


def log_sum_exp(x, axis):
    """Returns log(sum(exp(x))) along an axis; the gradient of PyTensor's own is NaN for x far below zero in a scan."""
    largest = pytensor.gradient.disconnected_grad(pt.max(x, axis=axis, keepdims=True))
    return pt.log(pt.sum(pt.exp(x - largest), axis=axis)) + pt.squeeze(largest, axis)


OTHERS = {"linalg": SimpleNamespace(cholesky=linalg.cholesky, solve=solve), "newaxis": None, "sqrt": sqrt}
NAMES = SimpleNamespace(**vars(pt) | OTHERS)


def gradient(function, count, *arguments):
    """Returns the call for the gradients of a function by its first `count` arguments, all of them arrays."""
    symbols = symbols_for(*arguments)
    return compiled(symbols, pytensor.grad(function(*symbols), symbols[:count]), arguments)


def scanned(step, state, constants, steps=None, sequences=()):
    """Returns what the states become, a list of arrays with a row for each step; a step takes sequences, states, constants."""
    options = {"strict": True, "return_updates": False, "return_list": True}
    return pytensor.scan(step, sequences, state, constants, steps, **options)


def bodies(velocities, positions, masses, targets, steps):
    step = module_on(nbody, np=NAMES).step

    def miss(velocities):
        state = [pt.constant(positions), velocities, pt.constant(nbody.accelerations(positions, masses))]
        x, _, _ = scanned(lambda x, v, pull: list(step(x, v, pull, masses)), state, [], steps)
        return pt.sum((x[-1] - targets) ** 2)

    return gradient(miss, 1, velocities)


def trajectory(start, parameters, steps):
    def end(start, parameters):
        state, constants = ([x[k] for k in range(3)] for x in (start, parameters))
        return scanned(lambda *values: lorenz.step(values[:3], values[3:]), state, constants, steps)[0][-1]

    return gradient(end, 2, start, parameters)


def language(embedding, weights, bias, output, letters):
    batch, size = len(letters), len(output)

    def loss(embedding, weights, bias, output):
        def step(entering, hidden, cell, by_hidden):
            gates = entering + hidden @ by_hidden
            forget, enter, leave = (pt.sigmoid(gates[:, k * size : (k + 1) * size]) for k in range(3))
            cell = forget * cell + enter * pt.tanh(gates[:, 3 * size :])
            return [leave * pt.tanh(cell), cell]

        entering = embedding[letters.T[:-1]] @ weights[:size] + bias
        hidden, _ = scanned(step, 2 * [pt.zeros((batch, size))], [weights[size:]], sequences=[entering])
        likelihoods = pt.special.log_softmax(hidden @ output, axis=2)
        rows, columns = np.indices(letters.T[1:].shape)
        return -pt.mean(likelihoods[rows, columns, letters.T[1:]])

    return gradient(loss, 4, embedding, weights, bias, output)


def conductivity(logarithm, first, measured, steps):
    step = module_on(heat, np=NAMES).step

    def misfit(logarithm):
        [temperature] = scanned(step, [pt.constant(first)], [0.2 * pt.exp(logarithm)], steps)
        return pt.mean((temperature[-1] - measured) ** 2) + 1e-4 * pt.mean(pt.diff(logarithm) ** 2)

    return gradient(misfit, 1, logarithm)


def hidden_states(start, transition, emission, observations):
    def step(seen, state, transition):
        return log_sum_exp(state[:, None] + transition, 0) + seen

    def likelihood(start, transition, emission):
        start, transition, emission = (pt.special.log_softmax(scores, axis=-1) for scores in (start, transition, emission))
        scores = emission[:, list(observations)].T
        [states] = scanned(step, [start + scores[0]], [transition], sequences=[scores[1:]])
        return log_sum_exp(states[-1], 0)

    return gradient(likelihood, 3, start, transition, emission)


def workload(problem):
    """Returns the start of a workload: its own function on PyTensor's names."""
    function = problem.on(np=NAMES, special=pt, math=pt)
    return lambda *arguments: gradient(function, len(problem.argnums), *arguments)


def process(logarithms, x, y):
    return gradient(lambda logarithms: WORKLOADS["process"].on(np=NAMES)(logarithms, x, y), 1, logarithms)


def arm(angles, target):
    miss = WORKLOADS["arm"].on(math=pt)
    return gradient(lambda angles: miss([angles[k] for k in range(angles.type.shape[0])], target), 1, angles)


PROBLEMS = {name: workload(WORKLOADS[name]) for name in ("logistic", "options", "basket")}
PROBLEMS |= {
    "nbody": bodies,
    "lorenz": trajectory,
    "language": language,
    "process": process,
    "arm": arm,
    "heat": conductivity,
    "markov": hidden_states,
}
UNABLE = {}
