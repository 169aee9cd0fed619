"""The evals by PyTorch: eager, in float64, on one thread."""

import math

import numpy as np
import torch

from bench.gradbench import ba, det, ht, ode

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)


def gradient(function, count, *arguments):
    """Returns the call for the gradients of a function by its first `count` arguments."""
    leaves = [torch.as_tensor(x).requires_grad_() for x in arguments[:count]]
    rest = [torch.as_tensor(x) if isinstance(x, np.ndarray) else x for x in arguments[count:]]
    return lambda: torch.autograd.grad(function(*leaves, *rest), leaves)


def gmm(alpha, mu, q, l, x, m, gamma):
    n, d = x.shape
    k = len(alpha)
    freedom = d + m + 1
    columns, rows = map(torch.as_tensor, np.triu_indices(d, 1))
    diagonal = torch.arange(d)

    def objective(alpha, mu, q, l, x):
        factors = torch.zeros(k, d, d)
        factors[:, rows, columns] = l
        factors[:, diagonal, diagonal] = torch.exp(q)
        determinants = torch.sum(q, dim=1)
        deviations = (x - mu[:, None]) @ factors.transpose(1, 2)
        terms = (alpha + determinants)[:, None] - 0.5 * torch.sum(deviations**2, dim=2)
        likelihood = torch.sum(torch.logsumexp(terms, 0)) - n * (0.5 * d * math.log(2.0 * math.pi) + torch.logsumexp(alpha, 0))
        prior = -0.5 * gamma**2 * torch.sum(factors**2) + m * torch.sum(determinants)
        constant = freedom * d * math.log(gamma / math.sqrt(2.0)) - torch.special.multigammaln(torch.tensor(0.5 * freedom), d)
        return likelihood + prior + k * constant

    return gradient(objective, 4, alpha, mu, q, l, x)


def error(camera, point, weight, feature):
    """Returns the reprojection error (2,) of one observation."""
    square = torch.sum(camera[:3] ** 2)
    turns = square > 0.0
    angle = torch.sqrt(torch.where(turns, square, 1.0))
    axis, x = camera[:3] / angle, point - camera[3:6]
    turned = (
        x * torch.cos(angle)
        + torch.linalg.cross(axis, x) * torch.sin(angle)
        + axis * torch.dot(axis, x) * (1.0 - torch.cos(angle))
    )
    turned = torch.where(turns, turned, x + torch.linalg.cross(camera[:3], x))
    plane = turned[:2] / turned[2]
    square = torch.sum(plane**2)
    distorted = plane * (1.0 + camera[9] * square + camera[10] * square**2)
    return weight * (distorted * camera[6] + camera[7:9] - feature)


def bundle(cameras, points, weight, feature, seen_by, seen):
    blocks = torch.func.vmap(torch.func.jacrev(error, argnums=(0, 1, 2)))
    regular = torch.func.vmap(torch.func.grad(lambda w: 1.0 - w**2))
    cameras, points, weight, feature = map(torch.as_tensor, (cameras, points, weight, feature))
    starts, columns = ba.pattern(len(cameras), len(points), seen_by, seen)

    def call():
        by_camera, by_point, by_weight = blocks(cameras[seen_by], points[seen], weight, feature)
        rows = torch.cat([by_camera, by_point, by_weight[:, :, None]], dim=2)
        return starts, columns, torch.cat([rows.ravel(), regular(weight)])

    return call


def hand(theta, us, model, nearest, points):
    bones = len(model.parents)
    relatives, inverses, vertices, weights, us, points = map(
        torch.as_tensor, (model.relatives, model.inverses, model.vertices, model.weights, us, points)
    )
    first = 2 + 4 * torch.arange(ht.FINGERS)

    def turn(sine, cosine, i, j):
        zero, one = torch.zeros_like(sine), torch.ones_like(sine)
        entries = {(i, i): cosine, (j, j): cosine, (i, j): -sine, (j, i): sine}
        flat = [entries.get((a, b), one if a == b else zero) for a in range(3) for b in range(3)]
        return torch.stack(flat, dim=1).reshape(-1, 3, 3)

    def posed(theta):
        fingers = theta[6:].reshape(ht.FINGERS, 4)
        angles = (
            torch.zeros(bones, 3)
            .index_put((first, torch.tensor(0)), fingers[:, 0])
            .index_put((first, torch.tensor(1)), fingers[:, 1])
        )
        angles = angles.index_put((first + 1, torch.tensor(0)), fingers[:, 2]).index_put(
            (first + 2, torch.tensor(0)), fingers[:, 3]
        )
        sine, cosine = torch.sin(angles), torch.cos(angles)
        x, z, y = (turn(sine[:, k], cosine[:, k], *plane) for k, plane in enumerate(((1, 2), (0, 1), (2, 0))))
        turns = torch.nn.functional.pad(z @ y @ x, (0, 1, 0, 1)) + torch.diag(torch.tensor([0.0, 0.0, 0.0, 1.0]))
        moved = relatives @ turns
        absolutes = []
        for bone, parent in enumerate(model.parents):
            absolutes.append(moved[bone] if parent == -1 else absolutes[parent] @ moved[bone])
        by_bone = ((torch.stack(absolutes) @ inverses) @ vertices.T)[:, :3]
        skinned = torch.sum(by_bone * weights.T[:, None], dim=0)
        angle = torch.sqrt(torch.sum(theta[:3] ** 2))
        axis = theta[:3] / angle
        x, y, z = axis
        zero = torch.zeros(())
        cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero]).reshape(3, 3)
        whole = torch.cos(angle) * torch.eye(3) + torch.sin(angle) * cross + (1.0 - torch.cos(angle)) * torch.outer(axis, axis)
        return whole @ skinned + theta[3:6, None]

    def distances(shift, theta):
        return ht.from_surface(posed(theta), us + shift if len(us) else None, model, nearest, points)

    derivative = torch.func.jacfwd(distances, argnums=(0, 1))
    shift, theta = torch.zeros(2), torch.as_tensor(theta)

    def call():
        blocks = [block.reshape(3 * len(points), -1) for block in derivative(shift, theta)]
        return torch.cat(blocks, dim=1) if len(us) else blocks[1]

    return call


def kmeans(centroids, points):
    points = torch.as_tensor(points)
    centroids = torch.as_tensor(centroids)

    def cost(centroids):
        squares = torch.sum(points**2, dim=1)[:, None] + torch.sum(centroids**2, dim=1)
        return torch.sum(torch.min(squares - 2.0 * (points @ centroids.T), dim=1).values)

    ones = torch.ones_like(centroids)

    def call():
        moving = centroids.clone().requires_grad_()
        [slope] = torch.autograd.grad(cost(moving), moving, create_graph=True)
        [diagonal] = torch.autograd.grad(slope, moving, ones)
        return (slope / diagonal).detach()

    return call


def llsq(x, n):
    t = torch.linspace(-1.0, 1.0, n)

    def objective(x):
        return torch.sum((torch.sign(t) - torch.vander(t, len(x), increasing=True) @ x) ** 2) / 2.0

    return gradient(objective, 1, x)


def lse(x):
    def log_sum_exp(x):
        largest = torch.max(x)
        return largest + torch.log(torch.sum(torch.exp(x - largest)))

    return gradient(log_sum_exp, 1, x)


def lstm(main, extra, state, sequence):
    def step(weight, bias, hidden, cell, x):
        gates = torch.cat([x, hidden, x, hidden]) * weight + bias
        forget, enter, leave, change = torch.chunk(gates, 4)
        cell = cell * torch.sigmoid(forget) + torch.sigmoid(enter) * torch.tanh(change)
        return torch.sigmoid(leave) * torch.tanh(cell), cell

    def objective(main, extra, state, sequence):
        states = [(state[2 * i], state[2 * i + 1]) for i in range(len(main) // 2)]
        total = 0.0
        for now, following in zip(sequence[:-1], sequence[1:]):
            x = now * extra[0]
            for i in range(len(states)):
                states[i] = step(main[2 * i], main[2 * i + 1], *states[i], x)
                x = states[i][0]
            predicted = x * extra[1] + extra[2]
            total = total + torch.sum(following * (predicted - torch.log(torch.sum(torch.exp(predicted)) + 2.0)))
        return -total / (sequence.shape[1] * (len(sequence) - 1))

    return gradient(objective, 2, main, extra, state, sequence)


def equations(x, steps):
    h = ode.END / steps

    def slope(x, y):
        return torch.cat([x[:1], x[1:] * y[:-1]])

    def last(x):
        y = torch.zeros_like(x)
        for _ in range(steps):
            y = ode.step(slope, x, y, h)
        return y[-1]

    return gradient(last, 1, x)


def determinant(flat, size):
    return gradient(lambda a: det.determinant(a, size), 1, flat)


PROBLEMS = {
    "hello": lambda x: gradient(lambda x: x * x, 1, np.array(x)),
    "gmm": gmm,
    "ba": bundle,
    "ht": hand,
    "kmeans": kmeans,
    "llsq": llsq,
    "lse": lse,
    "lstm": lstm,
    "ode": equations,
    "det": determinant,
}
UNABLE = dict.fromkeys(("particle", "saddle"), "not written: hundreds of thousands of operations on tensors of one number")
