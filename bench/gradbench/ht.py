"""ht: hand tracking: distances between points measured on a hand and the model's surface in a pose, and their Jacobian."""

from dataclasses import dataclass

import fastad.numpy as np
from bench.gradbench.problem import Eval, Function, array

FINGERS, THETA = 5, 26


@dataclass(frozen=True)
class Hand:
    """A model of b bones and v vertices: bones as transforms (b, 4, 4), vertices (v, 4), weights (v, b), triangles (t, 3)."""

    parents: tuple
    relatives: np.ndarray
    inverses: np.ndarray
    vertices: np.ndarray
    weights: np.ndarray
    triangles: np.ndarray
    mirrored: bool


def distances(theta, us, hand, nearest, points):
    """Returns the vectors (n, 3) from the model's points to n measured ones.

    theta is the pose (26): rotation and translation of the hand, four angles for each finger. A measured point belongs to the
    vertex `nearest`, or, where `us` (n, 2) is not empty, to the point of the triangle `nearest` with these coordinates.
    """
    return from_surface(posed(theta, hand), us if len(us) else None, hand, nearest, points)


def from_surface(surface, us, hand, nearest, points):
    """Returns the same from the model's vertices (3, v) in a pose; `us` is None where points belong to vertices."""
    if us is None:
        return points - surface[:, nearest].T
    a, b, c = (surface[:, corner].T for corner in hand.triangles[nearest].T)
    u, v = us[:, :1], us[:, 1:]
    return points - (u * a + v * b + (1.0 - u - v) * c)


def posed(theta, hand):
    """Returns the vertices (3, v) in a pose: each moved with its bones by its weights, then with the whole hand."""
    turns = np.zeros((len(hand.parents), 4, 4))
    turns[:, :3, :3] = from_euler(bone_angles(theta, len(hand.parents)))
    turns[:, 3, 3] = 1.0
    relatives = hand.relatives @ turns
    absolutes = []
    for parent, relative in zip(hand.parents, relatives):
        absolutes.append(relative if parent == -1 else absolutes[parent] @ relative)
    transforms = np.stack(absolutes) @ hand.inverses
    by_bone = (transforms @ hand.vertices.T)[:, :3]
    skinned = np.sum(by_bone * hand.weights.T[:, np.newaxis], axis=0)
    if hand.mirrored:
        skinned = skinned * np.array([[-1.0], [1.0], [1.0]])
    return from_axis(theta[:3]) @ skinned + theta[3:6, np.newaxis]


def bone_angles(theta, bones):
    """Returns angles (b, 3) about x, z and y: a finger's first bone has two, the two after it have one."""
    angles = np.zeros((bones, 3))
    for finger in range(FINGERS):
        bend, spread, middle, end = theta[6 + 4 * finger : 10 + 4 * finger]
        first = 2 + 4 * finger
        angles[first, 0] = bend
        angles[first, 1] = spread
        angles[first + 1, 0] = middle
        angles[first + 2, 0] = end
    return angles


def from_euler(angles):
    """Returns the rotations (b, 3, 3) about x, then y, then z."""
    sine, cosine = np.sin(angles), np.cos(angles)
    x, z, y = (turn(sine[:, k], cosine[:, k], *plane) for k, plane in enumerate(((1, 2), (0, 1), (2, 0))))
    return z @ y @ x


def turn(sine, cosine, i, j):
    """Returns rotations (b, 3, 3) in the plane of the axes i and j."""
    matrices = np.zeros((len(sine), 3, 3))
    matrices[:, range(3), range(3)] = 1.0
    matrices[:, i, i] = cosine
    matrices[:, j, j] = cosine
    matrices[:, i, j] = -sine
    matrices[:, j, i] = sine
    return matrices


def from_axis(rotation):
    """Returns the rotation (3, 3) about an axis by its length."""
    angle = np.sqrt(np.sum(rotation**2))
    if angle < 1e-4:
        return np.eye(3)
    x, y, z = axis = rotation / angle
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.cos(angle) * np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * np.outer(axis, axis)


def objective(way, *arguments):
    return way.value(distances, *arguments)


def jacobian(way, theta, us, hand, nearest, points):
    """Returns the call for the Jacobian (3 n, 28), or (3 n, 26) without us.

    A distance depends on its own point's coordinates and on no other's, so that a shift of all of them gives their two columns.
    """
    if len(us) == 0:
        call = way.jacobian(lambda theta: distances(theta, us, hand, nearest, points), theta, mode="forward")
        return lambda: call().reshape(-1, THETA)

    def shifted(shift, theta):
        return distances(theta, us + shift, hand, nearest, points)

    call = way.jacobian(shifted, np.zeros(2), theta, argnums=(0, 1), mode="forward")
    return lambda: np.concatenate([block.reshape(3 * len(points), -1) for block in call()], axis=1)


def read(message):
    model = message["data"]["model"]
    parents = tuple(int(parent) for parent in model["parents"])
    bones = len(parents)
    if bones < 2 + 4 * FINGERS - 1 or any(not -1 <= parent < bone for bone, parent in enumerate(parents)):
        raise ValueError("parents must come before their bones, and five fingers need 21 bones")
    vertices = array(model, "base_positions", None, 4)
    hand = Hand(
        parents,
        array(model, "base_relatives", bones, 4, 4),
        array(model, "inverse_base_absolutes", bones, 4, 4),
        vertices,
        array(model, "weights", len(vertices), bones),
        array(model, "triangles", None, 3).astype(int),
        bool(model["is_mirrored"]),
    )
    points = array(message["data"], "points", None, 3)
    us = array(message, "us", len(points), 2) if len(message.get("us", ())) else np.empty((0, 2))
    nearest = array(message["data"], "correspondences", len(points)).astype(int)
    surface = hand.triangles if len(us) else vertices
    if len(points) and not (0 <= nearest.min() and nearest.max() < len(surface)):
        raise ValueError("correspondences lie outside the model")
    return array(message, "theta", THETA), us, hand, nearest, points


def sample(points, vertices=544, coordinates=True):
    """Returns a message of a made-up hand with 22 bones, each vertex moved by two of them."""
    rng = np.random.default_rng(31337)
    parents = [-1, 0] + [0 if joint == 0 else 2 + 4 * finger + joint - 1 for finger in range(FINGERS) for joint in range(4)]
    relatives = np.tile(np.eye(4), (len(parents), 1, 1))
    relatives[:, :3, 3] = rng.uniform(-0.1, 0.1, (len(parents), 3))
    absolutes = []
    for parent, relative in zip(parents, relatives):
        absolutes.append(relative if parent == -1 else absolutes[parent] @ relative)
    weights = np.zeros((vertices, len(parents)))
    for _ in range(2):
        weights[np.arange(vertices), rng.integers(len(parents), size=vertices)] += 0.5
    triangles = np.array([rng.choice(vertices, 3, replace=False) for _ in range(2 * vertices)])
    model = {
        "bone_count": len(parents),
        "bone_names": [f"bone {k}" for k in range(len(parents))],
        "parents": parents,
        "base_relatives": relatives.tolist(),
        "inverse_base_absolutes": np.linalg.inv(absolutes).tolist(),
        "base_positions": np.concatenate([rng.normal(size=(vertices, 3)), np.ones((vertices, 1))], axis=1).tolist(),
        "weights": weights.tolist(),
        "triangles": triangles.tolist(),
        "is_mirrored": False,
    }
    return {
        "theta": rng.uniform(0.1, 0.6, THETA).tolist(),
        "us": rng.uniform(0.0, 0.5, (points, 2)).tolist() if coordinates else [],
        "data": {
            "model": model,
            "correspondences": rng.integers(len(triangles) if coordinates else vertices, size=points).tolist(),
            "points": rng.normal(size=(points, 3)).tolist(),
        },
    }


EVAL = Eval(
    name="ht",
    functions={"objective": Function(objective, lambda found: found.ravel().tolist()), "jacobian": Function(jacobian)},
    read=read,
    sample=sample,
    sizes=((20, 60), (400,), (6400,)),
    timed="jacobian",
)
