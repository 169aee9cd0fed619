"""The evals by CasADi: symbols of scalars (SX) or matrices (MX), functions evaluated by its virtual machines."""

import functools

import casadi
import numpy as np

from bench.gradbench import ba, det, ht, ode


def evaluated(symbols, results, arguments):
    """Returns the call of a function of symbols at arguments; results as flat arrays, row by row."""
    function = casadi.Function("derivative", symbols, [casadi.densify(result) for result in results])
    arguments = [casadi.DM(x) for x in arguments]

    def call():
        found = function(*arguments)
        return [part.full() for part in (found if isinstance(found, tuple) else (found,))]

    return call


def gradient(function, x):
    """Returns the call for the gradient of a function of a column of scalars."""
    symbols = casadi.SX.sym("x", len(x))
    call = evaluated([symbols], [casadi.gradient(function(symbols), symbols)], [x])
    return lambda: call()[0].ravel()


def log_sum_exp(x):
    """Returns log(sum(exp(x))) of the columns."""
    largest = functools.reduce(casadi.fmax, casadi.vertsplit(x))
    return largest + casadi.log(casadi.sum1(casadi.exp(x - casadi.repmat(largest, x.shape[0], 1))))


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


def gmm(alpha, mu, q, l, x, m, gamma):
    (k, d), n = mu.shape, len(x)
    parts = [part.reshape(k, -1) for part in (alpha, mu, q, l)]
    sizes = np.cumsum([0, *(part.size for part in parts)])
    moving = casadi.MX.sym("moving", sizes[-1])
    rows = [casadi.reshape(moving[a:b], part.shape[1], k) for part, a, b in zip(parts, sizes, sizes[1:])]
    alphas, means, logs, below = rows

    def factor(j):
        """Returns the lower triangular matrix of component j, its entries column by column."""
        entries, place = [], 0
        for column in range(d):
            entries += [casadi.exp(logs[column, j]), below[place : place + d - 1 - column, j]]
            place += d - 1 - column
        return casadi.MX(casadi.Sparsity.lower(d), casadi.vertcat(*entries))

    factors, determinants = [factor(j) for j in range(k)], casadi.sum1(logs)
    terms = []
    for j in range(k):
        deviations = casadi.mtimes(factors[j], x.T - casadi.repmat(means[:, j], 1, n))
        terms.append(alphas[j] + determinants[j] - 0.5 * casadi.sum1(deviations**2))
    likelihood = casadi.sum2(log_sum_exp(casadi.vertcat(*terms))) - n * log_sum_exp(alphas.T)
    prior = -0.5 * gamma**2 * sum(casadi.sumsqr(each) for each in factors) + m * casadi.sum2(determinants)
    point = np.concatenate([part.ravel() for part in parts])
    call = evaluated([moving], [casadi.gradient(likelihood + prior, moving)], [point])
    return lambda: np.split(call()[0].ravel(), sizes[1:-1])


def hand(theta, us, model, nearest, points):
    def turned(angles):
        """Returns the turns about x, z and y, one after the other."""
        (sx, sz, sy), (cx, cz, cy) = ([f(angle) for angle in angles] for f in (casadi.sin, casadi.cos))
        about_x = casadi.blockcat([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
        about_z = casadi.blockcat([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
        about_y = casadi.blockcat([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        return about_z @ about_y @ about_x

    def transforms(theta):
        """Returns the transforms (4, 4) of the bones."""
        angles = [[0.0, 0.0, 0.0] for _ in model.parents]
        for finger in range(ht.FINGERS):
            first, own = 2 + 4 * finger, 6 + 4 * finger
            angles[first][:2] = theta[own], theta[own + 1]
            angles[first + 1][0], angles[first + 2][0] = theta[own + 2], theta[own + 3]
        absolutes = []
        for parent, relative, bone in zip(model.parents, model.relatives, angles):
            moved = casadi.mtimes(relative, casadi.diagcat(turned(bone), 1))
            absolutes.append(moved if parent == -1 else casadi.mtimes(absolutes[parent], moved))
        return [casadi.mtimes(absolute, inverse) for absolute, inverse in zip(absolutes, model.inverses)]

    pose = casadi.SX.sym("theta", len(theta))
    angle = casadi.norm_2(pose[:3])
    axis = pose[:3] / angle
    whole = casadi.cos(angle) * casadi.DM.eye(3) + casadi.sin(angle) * casadi.skew(axis)
    whole = whole + (1.0 - casadi.cos(angle)) * casadi.mtimes(axis, axis.T)
    bones = casadi.Function("bones", [pose], [casadi.horzcat(*[each[:3, :] for each in transforms(pose)]), whole])

    shift, moving = casadi.MX.sym("shift", 2), casadi.MX.sym("theta", len(theta))
    every, whole = bones(moving)
    weighted = [casadi.DM(model.vertices.T * weights) for weights in model.weights.T]
    skinned = casadi.mtimes(every, casadi.vertcat(*weighted))
    if model.mirrored:
        skinned = casadi.mtimes(casadi.diag(casadi.DM([-1.0, 1.0, 1.0])), skinned)
    surface = casadi.mtimes(whole, skinned) + casadi.repmat(moving[3:6], 1, len(model.vertices))
    if len(us) == 0:
        distances = points.T - surface[:, nearest.tolist()]
    else:
        a, b, c = (surface[:, corner.tolist()] for corner in model.triangles[nearest].T)
        u, v = (casadi.repmat(casadi.DM(us[:, k]).T + shift[k], 3, 1) for k in range(2))
        distances = points.T - (u * a + v * b + (1.0 - u - v) * c)
    inputs = casadi.vertcat(shift, moving) if len(us) else moving
    jacobian = casadi.jacobian(casadi.vec(distances), inputs)
    call = evaluated([shift, moving], [jacobian], [np.zeros(2), theta])
    return lambda: call()[0]


def kmeans(centroids, points):
    c, (n, k) = casadi.MX.sym("c", *centroids.shape), (len(points), len(centroids))
    lengths = casadi.repmat(casadi.sum2(c**2).T, n, 1) + np.sum(points**2, axis=1)[:, np.newaxis].repeat(k, axis=1)
    squares = lengths - 2.0 * casadi.mtimes(points, c.T)
    slope = casadi.gradient(casadi.sum1(functools.reduce(casadi.fmin, casadi.horzsplit(squares))), c)
    diagonal = casadi.jtimes(slope, c, casadi.MX.ones(*centroids.shape))
    call = evaluated([c], [slope / diagonal], [centroids])
    return lambda: call()[0]


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
    "gmm": gmm,
    "ba": bundle,
    "ht": hand,
    "kmeans": kmeans,
    "llsq": llsq,
    "lse": lse,
    "lstm": lstm,
    "ode": equations,
    "det": lambda flat, size: gradient(lambda a: det.determinant(a, size), flat),
}
UNABLE = dict.fromkeys(("particle", "saddle"), "no loops of unknown length in its functions")
