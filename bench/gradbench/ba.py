"""ba: bundle adjustment: errors of points seen by cameras, and their sparse Jacobian.

A row of the Jacobian has an observation's camera, point and weight in it and nothing else. It is the gradient of one error of one
observation: a program on plain numbers gives both, and is replayed for all of them; eager, all observations are computed at once, as rows of
arrays, and one sweep gives the first rows of all, another one the second rows.
"""

import numpy as np

from bench.gradbench.problem import Eval, Function, array, whole
from fastad import math

CAMERA, POINT, ROW = 11, 3, 15


def errors(camera, point, weight, feature):
    """Returns the reprojection errors (p, 2) of p observations, each with its camera (p, 11), point (p, 3) and weight (p,).

    A camera is a rotation (axis times angle), a centre, a focal length, a principal point and two distortion parameters.
    """
    turned = rotated(camera[:, :3], point - camera[:, 3:6])
    plane = turned[:, :2] / turned[:, 2:]
    square = np.sum(plane**2, axis=1, keepdims=True)
    distorted = plane * (1.0 + camera[:, 9:10] * square + camera[:, 10:11] * square * square)
    return weight[:, np.newaxis] * (distorted * camera[:, 6:7] + camera[:, 7:9] - feature)


def rotated(rotation, x):
    """Returns the rows of x turned about the rows of `rotation` by their lengths (Rodrigues' formula)."""
    square = np.sum(rotation**2, axis=1, keepdims=True)
    turns = square > 0.0
    angle = np.sqrt(np.where(turns, square, 1.0))
    axis = rotation / angle
    along = axis * np.sum(axis * x, axis=1, keepdims=True)
    turned = x * np.cos(angle) + np.cross(axis, x) * np.sin(angle) + along * (1.0 - np.cos(angle))
    return np.where(turns, turned, x + np.cross(rotation, x))


def two_errors(observed, feature):
    """Returns the two errors of one observation, with its camera, point and weight in one vector (15,)."""
    camera, point, weight = observed[:CAMERA], observed[CAMERA : CAMERA + POINT], observed[-1]
    x, y, z = turned(*camera[:3], *(point[k] - camera[3 + k] for k in range(3)))
    plane = x / z, y / z
    square = plane[0] * plane[0] + plane[1] * plane[1]
    stretch = 1.0 + camera[9] * square + camera[10] * square * square
    return tuple(weight * (plane[k] * stretch * camera[6] + camera[7 + k] - feature[k]) for k in range(2))


def turned(a, b, c, x, y, z):
    """Returns the point (x, y, z) turned about (a, b, c) by its length."""
    square = a * a + b * b + c * c
    if square == 0.0:
        return x + b * z - c * y, y + c * x - a * z, z + a * y - b * x
    angle = math.sqrt(square)
    a, b, c = a / angle, b / angle, c / angle
    cosine, sine = math.cos(angle), math.sin(angle)
    along = (a * x + b * y + c * z) * (1.0 - cosine)
    return (
        x * cosine + (b * z - c * y) * sine + a * along,
        y * cosine + (c * x - a * z) * sine + b * along,
        z * cosine + (a * y - b * x) * sine + c * along,
    )


def weight_errors(weight):
    return 1.0 - weight**2


def objective(way, cameras, points, weight, feature, seen_by, seen):
    reprojection = way.value(errors, cameras[seen_by], points[seen], weight, feature)
    regular = way.value(weight_errors, weight)
    return lambda: (reprojection(), regular())


def jacobian(way, cameras, points, weight, feature, seen_by, seen):
    """Returns the call for the Jacobian: starts of rows, columns, values; the two errors of each observation come first."""
    observed = (cameras[seen_by], points[seen], weight)
    halves = by_rows(way, *observed, feature) if way.replays else at_once(way, *observed, feature)
    regular = way.vjp(weight_errors, weight)
    starts, columns = pattern(len(cameras), len(points), seen_by, seen)
    count = len(weight)
    ones = np.ones(count)

    def call():
        values = np.empty(31 * count)
        rows = values[: 30 * count].reshape(count, 2, ROW)
        for k, half in enumerate(halves()):
            rows[:, k] = half
        values[30 * count :] = regular()[1](ones)[0]
        return starts, columns, values

    return call


def by_rows(way, camera, point, weight, feature):
    """Returns the call for the derivatives (p, 15) of the first errors and of the second, one observation after the other."""
    observed = np.concatenate([camera, point, weight[:, np.newaxis]], axis=1)
    return way.rows(two_errors, observed, feature, argnums=0, what="jacobian")


def at_once(way, camera, point, weight, feature):
    """Returns the same call for all observations at once."""
    forward = way.vjp(lambda *moving: errors(*moving, feature), camera, point, weight)
    seeds = [np.tile(unit, (len(weight), 1)) for unit in ((1.0, 0.0), (0.0, 1.0))]

    def call():
        pull = forward()[1]
        parts = [pull(seed) for seed in seeds]
        return [np.concatenate([by_camera, by_point, by_weight[:, np.newaxis]], axis=1) for by_camera, by_point, by_weight in parts]

    return call


def pattern(cameras, points, seen_by, seen):
    """Returns where the rows start among the values, and the column of each value."""
    count = len(seen)
    rows = np.empty((count, 2, ROW), int)
    rows[:, :, :CAMERA] = (CAMERA * seen_by[:, np.newaxis] + np.arange(CAMERA))[:, np.newaxis]
    rows[:, :, CAMERA : CAMERA + POINT] = (CAMERA * cameras + POINT * seen[:, np.newaxis] + np.arange(POINT))[:, np.newaxis]
    weights = CAMERA * cameras + POINT * points + np.arange(count)
    rows[:, :, -1] = weights[:, np.newaxis]
    lengths = np.concatenate([[0], np.full(2 * count, ROW), np.ones(count, int)])
    return np.cumsum(lengths), np.concatenate([rows.ravel(), weights])


def read(message):
    cameras, points, count = (whole(message, name, 1) for name in "nmp")
    observations = np.arange(count)
    return (
        np.tile(array(message, "cam", CAMERA), (cameras, 1)),
        np.tile(array(message, "x", POINT), (points, 1)),
        np.full(count, float(message["w"])),
        np.tile(array(message, "feat", 2), (count, 1)),
        observations % cameras,
        observations % points,
    )


def write_objective(result):
    reprojection, regular = result
    return {
        "reproj_error": {"elements": reprojection[0].tolist(), "repeated": len(reprojection)},
        "w_err": {"element": float(regular[0]), "repeated": len(regular)},
    }


def write_jacobian(result):
    """Returns the first thirty entries of the starts, the columns and the values, and the last of each."""
    return {name: part[:30].tolist() + [part[-1].item()] for name, part in zip(("rows", "cols", "vals"), result)}


def sample(cameras, points, observations):
    rng = np.random.default_rng(31337)
    return {
        "n": cameras,
        "m": points,
        "p": observations,
        "cam": rng.uniform(0.1, 1.0, CAMERA).tolist(),
        "x": rng.uniform(1.0, 2.0, POINT).tolist(),
        "w": 0.3,
        "feat": rng.uniform(size=2).tolist(),
    }


def parsed(path):
    """Returns the message of one of the suite's files."""
    sizes, camera, point, weight, feature = path.read_text().splitlines()[:5]
    numbers = {name: int(size) for name, size in zip("nmp", sizes.split())}
    rows = {name: [float(x) for x in row.split()] for name, row in (("cam", camera), ("x", point), ("feat", feature))}
    return {**numbers, **rows, "w": float(weight)}


EVAL = Eval(
    name="ba",
    functions={
        "objective": Function(objective, write_objective),
        "jacobian": Function(jacobian, write_jacobian, lambda result: result[2]),
    },
    read=read,
    sample=sample,
    sizes=((3, 12, 40), (21, 1131, 3645), (49, 7776, 31843)),
    timed="jacobian",
)
