"""The evals by CasADi: symbols of scalars (SX) or matrices (MX), functions evaluated by its virtual machines."""

import casadi
import numpy as np

from bench.gradbench import ba, det, ode


def evaluated(symbols, results, arguments):
    """Returns the call of a function of symbols at arguments; results as flat arrays, row by row."""
    function = casadi.Function("derivative", symbols, [casadi.densify(result) for result in results])

    def call():
        found = function(*arguments)
        return [part.full() for part in (found if isinstance(found, tuple) else (found,))]

    return call


def gradient(function, x):
    """Returns the call for the gradient of a function of a column of scalars."""
    symbols = casadi.SX.sym("x", len(x))
    call = evaluated([symbols], [casadi.gradient(function(symbols), symbols)], [x])
    return lambda: call()[0].ravel()


def error(camera, point, weight, feature):
    """Returns the reprojection error (2,) of one observation."""
    square = casadi.sumsqr(camera[:3])
    angle = casadi.sqrt(casadi.if_else(square > 0.0, square, 1.0))
    axis, x = camera[:3] / angle, point - camera[3:6]
    turned = (
        x * casadi.cos(angle) + casadi.cross(axis, x) * casadi.sin(angle) + axis * casadi.dot(axis, x) * (1.0 - casadi.cos(angle))
    )
    turned = casadi.if_else(square > 0.0, turned, x + casadi.cross(camera[:3], x))
    plane = turned[:2] / turned[2]
    square = casadi.sumsqr(plane)
    distorted = plane * (1.0 + camera[9] * square + camera[10] * square**2)
    return weight * (distorted * camera[6] + camera[7:9] - feature)


def bundle(cameras, points, weight, feature, seen_by, seen):
    starts, columns = ba.pattern(len(cameras), len(points), seen_by, seen)
    moving, observed = casadi.SX.sym("moving", ba.ROW), casadi.SX.sym("observed", 2)
    jacobian = casadi.jacobian(error(moving[:11], moving[11:14], moving[14], observed), moving)
    count = len(weight)
    blocks = casadi.Function("block", [moving, observed], [casadi.densify(jacobian.T)]).map(count)
    w = casadi.SX.sym("w")
    regular = casadi.Function("regular", [w], [casadi.gradient(1.0 - w**2, w)]).map(count)
    rows = np.concatenate([cameras[seen_by], points[seen], weight[:, np.newaxis]], axis=1).T
    return lambda: (starts, columns, np.concatenate([blocks(rows, feature.T).full().T.ravel(), regular(weight).full().ravel()]))


def llsq(x, n):
    symbols = casadi.SX.sym("x", len(x))
    t = casadi.SX.sym("t")
    term = casadi.sign(t)
    power = 1.0
    for j in range(len(x)):
        term = term - symbols[j] * power
        power = power * t
    square = casadi.Function("square", [symbols, t], [casadi.gradient(term**2 / 2.0, symbols)])
    every = square.map("sum", "serial", n, [0], [0])
    return lambda: every(x, np.linspace(-1.0, 1.0, n)).full().ravel()


def lse(x):
    def log_sum_exp(x):
        largest = casadi.mmax(x)
        return largest + casadi.log(casadi.sum1(casadi.exp(x - largest)))

    symbols = casadi.MX.sym("x", len(x))
    call = evaluated([symbols], [casadi.gradient(log_sum_exp(symbols), symbols)], [x])
    return lambda: call()[0].ravel()


def lstm(main, extra, state, sequence):
    layers, (characters, bits) = len(main) // 2, sequence.shape

    def sigmoid(x):
        return 1.0 / (1.0 + casadi.exp(-x))

    weights, extras = casadi.SX.sym("main", 4 * bits, 2 * layers), casadi.SX.sym("extra", bits, 3)
    states, now, following = (
        casadi.SX.sym("state", bits, 2 * layers),
        casadi.SX.sym("now", bits),
        casadi.SX.sym("following", bits),
    )
    x, after = now * extras[:, 0], []
    for i in range(layers):
        hidden, cell = states[:, 2 * i], states[:, 2 * i + 1]
        gates = casadi.vertcat(x, hidden, x, hidden) * weights[:, 2 * i] + weights[:, 2 * i + 1]
        forget, enter, leave, change = casadi.vertsplit(gates, bits)
        cell = cell * sigmoid(forget) + sigmoid(enter) * casadi.tanh(change)
        x = sigmoid(leave) * casadi.tanh(cell)
        after += [x, cell]
    predicted = x * extras[:, 1] + extras[:, 2]
    loss = casadi.dot(following, predicted - casadi.log(casadi.sum1(casadi.exp(predicted)) + 2.0))
    step = casadi.Function("step", [states, weights, extras, now, following], [casadi.horzcat(*after), loss])
    whole = step.mapaccum("whole", characters - 1)
    mains, extras = casadi.MX.sym("main", 4 * bits, 2 * layers), casadi.MX.sym("extra", bits, 3)
    count = characters - 1
    _, losses = whole(state.T, casadi.repmat(mains, 1, count), casadi.repmat(extras, 1, count), sequence[:-1].T, sequence[1:].T)
    value = -casadi.sum2(losses) / (bits * count)
    function = casadi.Function("gradient", [mains, extras], [casadi.gradient(value, mains), casadi.gradient(value, extras)])
    return lambda: [part.full().T for part in function(main.T, extra.T)]


def equations(x, steps):
    h = ode.END / steps

    def slope(x, y):
        return casadi.vertcat(x[0], x[1:] * y[:-1])

    symbols = casadi.MX.sym("x", len(x))
    y = casadi.MX.zeros(len(x))
    for _ in range(steps):
        y = ode.step(slope, symbols, y, h)
    call = evaluated([symbols], [casadi.gradient(y[-1], symbols)], [x])
    return lambda: call()[0].ravel()


PROBLEMS = {
    "hello": lambda x: gradient(lambda x: x * x, [x]),
    "ba": bundle,
    "llsq": llsq,
    "lse": lse,
    "lstm": lstm,
    "ode": equations,
    "det": lambda flat, size: gradient(lambda a: det.determinant(a, size), flat),
}
UNABLE = {name: "not written" for name in ("gmm", "kmeans", "ht", "particle", "saddle")}
