"""The workloads by CasADi: small functions of scalars (SX), mapped, accumulated or called by functions of matrices (MX)."""

import math

import casadi
import numpy as np

from bench.gradbench.tools.casadi_models import evaluated, gradient, log_sum_exp
from bench.workloads import arm, basket, lorenz, nbody

# Products of matrices by BLAS, where this release can leave them to it.
BLAS = ("classic",) if hasattr(casadi, "has_blas") and casadi.has_blas("classic") else ()


def gradients(value, symbols, arguments, count=None):
    """Returns the call for a value's gradients by the first `count` symbols, which stand for the arguments' transposes."""
    results = [casadi.gradient(value, symbol) for symbol in symbols[:count]]
    call = evaluated(symbols, results, [np.transpose(x) for x in arguments])
    return lambda: [part.T for part in call()]


def product(a, b):
    return casadi.mtimes(a, b, *BLAS)


def scalars(name, *shapes):
    return [casadi.SX.sym(name, *shape) for shape in shapes]


def matrices(*arguments):
    """Returns a symbol for the transpose of each argument, columns for vectors."""
    return [casadi.MX.sym("moving", *(np.shape(x) if np.ndim(x) < 2 else np.shape(x)[::-1])) for x in arguments]


def bodies(velocities, positions, masses, targets, steps):
    n, h = len(masses), nbody.STEP

    def accelerations(x):
        gaps = [casadi.repmat(x[:, k].T, n, 1) - casadi.repmat(x[:, k], 1, n) for k in range(3)]
        squares = sum(gap**2 for gap in gaps) + nbody.SOFTENING**2
        pulls = casadi.repmat(casadi.DM(masses).T, n, 1) / (squares * casadi.sqrt(squares))
        return casadi.horzcat(*[casadi.sum2(gap * pulls) for gap in gaps])

    x, v, pull = scalars("state", *3 * [(n, 3)])
    halfway = v + 0.5 * h * pull
    moved = x + h * halfway
    after = accelerations(moved)
    step = casadi.Function("step", [casadi.horzcat(x, v, pull)], [casadi.horzcat(moved, halfway + 0.5 * h * after, after)])
    first = casadi.Function("first", [x], [accelerations(x)])
    [moving] = matrices(velocities)
    state = step.fold(steps)(casadi.horzcat(positions, moving.T, first(positions)))
    return gradients(casadi.sumsqr(state[:, :3] - targets), [moving], [velocities])


def trajectory(start, parameters, steps):
    state, constants = scalars("state", (3,), (3,))
    after = lorenz.step(casadi.vertsplit(state), casadi.vertsplit(constants))
    step = casadi.Function("step", [state, constants], [casadi.vertcat(*after)])
    moving = matrices(start, parameters)
    states = step.mapaccum("whole", steps)(moving[0], casadi.repmat(moving[1], 1, steps))
    return gradients(states[0, -1], moving, [start, parameters])


def language(embedding, weights, bias, output, letters):
    batch, length = letters.shape
    size, vocabulary = output.shape

    def sigmoid(x):
        return 1.0 / (1.0 + casadi.exp(-x))

    gates, cell = scalars("gates", (4 * size, batch), (size, batch))
    forget, enter, leave, change = casadi.vertsplit(gates, size)
    after = sigmoid(forget) * cell + sigmoid(enter) * casadi.tanh(change)
    step = casadi.Function("step", [gates, cell], [sigmoid(leave) * casadi.tanh(after), after])
    moving = embeddings, by_weights, biases, outputs = matrices(embedding, weights, bias, output)
    inputs = embeddings[:, letters.T[:-1].ravel().tolist()]
    by_input, by_hidden = casadi.horzsplit(by_weights, size)
    entering = product(by_input, inputs) + casadi.repmat(biases, 1, inputs.shape[1])
    hidden, cell, states = casadi.MX.zeros(size, batch), casadi.MX.zeros(size, batch), []
    for gates in casadi.horzsplit(entering, batch):
        hidden, cell = step(gates + product(by_hidden, hidden), cell)
        states.append(hidden)
    scores, count = product(outputs, casadi.horzcat(*states)), batch * (length - 1)
    chosen = scores.nz[(letters.T[1:].ravel() + vocabulary * np.arange(count)).tolist()]
    loss = (casadi.sum2(log_sum_exp(scores)) - casadi.sum1(chosen)) / count
    return gradients(loss, moving, [embedding, weights, bias, output])


def logistic(coefficients, x, labels):
    moving = matrices(coefficients)
    margins = labels * product(casadi.MX(casadi.DM(x)), moving[0])
    losses = casadi.fmax(-margins, 0.0) + casadi.log1p(casadi.exp(-casadi.fabs(margins)))
    return gradients(casadi.sum1(losses) / len(labels) + 0.01 * casadi.sumsqr(moving[0]), moving, [coefficients])


def process(logarithms, x, y):
    """The factor column by column: CasADi factorises matrices of scalars alone, and 200 rows are millions of those."""
    n, d = x.shape
    [moving] = matrices(logarithms)
    squares = casadi.MX.zeros(n, n)
    for k in range(d):
        gaps = casadi.DM((x[:, k, np.newaxis] - x[:, k]) ** 2)
        squares = squares + gaps * casadi.exp(-2.0 * moving[k])
    amplitude, noise = casadi.exp(2.0 * moving[d]), casadi.exp(2.0 * moving[d + 1])
    covariance = amplitude * casadi.exp(-0.5 * squares) + noise * casadi.densify(casadi.DM.eye(n))
    rest, total = casadi.vertcat(covariance, casadi.DM(y).T), 0.5 * n * math.log(2.0 * math.pi)
    for _ in range(n):
        column = rest[:, 0] / casadi.sqrt(rest[0, 0])
        total = total + 0.5 * column[-1] ** 2 + casadi.log(column[0])
        rest = rest[1:, 1:] - product(column[1:], column[1:-1].T)
    return gradients(total, [moving], [logarithms])


def options(*arguments):
    spot, volatility, rate, maturity, strike = symbols = matrices(*arguments)
    spread = volatility * casadi.sqrt(maturity)
    first = (casadi.log(spot / strike) + (rate + 0.5 * volatility**2) * maturity) / spread
    near, far = (0.5 * (1.0 + casadi.erf(x / math.sqrt(2.0))) for x in (first, first - spread))
    prices = spot * near - strike * casadi.exp(-rate * maturity) * far
    return gradients(casadi.sum1(prices), symbols, arguments, 4)


def basket_price(spots, volatilities, rate, normals):
    count, assets = normals.shape
    spot, volatility, interest = moving = matrices(spots, volatilities, rate)
    drift, spread = (interest - 0.5 * volatility**2) * basket.MATURITY, volatility * math.sqrt(basket.MATURITY)
    growth = casadi.repmat(drift, 1, count) + casadi.repmat(spread, 1, count) * normals.T
    means = casadi.sum1(casadi.repmat(spot, 1, count) * casadi.exp(growth)) / assets
    payoff = casadi.sum2(casadi.fmax(means - basket.STRIKE, 0.0)) / count
    return gradients(casadi.exp(-interest * basket.MATURITY) * payoff, moving, [spots, volatilities, rate])


def hand(angles, target):
    miss = arm.PROBLEM.on(math=casadi)
    return gradient(lambda symbols: miss(casadi.vertsplit(symbols), target), angles)


def conductivity(logarithm, first, measured, steps):
    [moving] = matrices(logarithm)
    conductivity, temperature = 0.2 * casadi.exp(moving), casadi.MX(casadi.DM(first))
    for _ in range(steps):
        flux = casadi.vertcat(0.0, conductivity * casadi.diff(temperature), 0.0)
        temperature = temperature + casadi.diff(flux)
    misfit = casadi.sumsqr(temperature - measured) / len(first)
    return gradients(misfit + 1e-4 * casadi.sumsqr(casadi.diff(moving)) / (len(logarithm) - 1), [moving], [logarithm])


def hidden_states(start, transition, emission, observations):
    states, count = len(start), len(observations) - 1
    arguments = start, transition, emission
    moving = matrices(*arguments)
    # Scores of a row, a column here, are probabilities together.
    firsts, transitions, emissions = (x - casadi.repmat(log_sum_exp(x), x.shape[0], 1) for x in moving)
    state, moves, scores = scalars("state", (states,), (states, states), (states,))
    after = log_sum_exp(casadi.repmat(state, 1, states) + moves.T).T + scores
    step = casadi.Function("step", [state, moves, scores], [after])
    seen = emissions.T[:, list(observations)]
    last = step.mapaccum("whole", count)(firsts + seen[:, 0], casadi.repmat(transitions, 1, count), seen[:, 1:])[:, -1]
    return gradients(log_sum_exp(last), moving, arguments)


PROBLEMS = {
    "nbody": bodies,
    "lorenz": trajectory,
    "language": language,
    "logistic": logistic,
    "process": process,
    "options": options,
    "basket": basket_price,
    "arm": hand,
    "heat": conductivity,
    "markov": hidden_states,
}
UNABLE = {}
