"""The suite's own inputs, read from a checkout of it."""

import json
import tempfile
from pathlib import Path

import numpy as np

from bench.gradbench import ba, lstm

FOLDER = {}


def written(name, size, checkout):
    """Returns the path of a file with the suite's message of this size, None where its data has none."""
    message = MESSAGES[name](size, checkout / "evals" / name / "data") if name in MESSAGES else None
    if message is None:
        return None
    if "folder" not in FOLDER:
        FOLDER["folder"] = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    path = Path(FOLDER["folder"].name) / f"{name}.json"
    path.write_text(json.dumps(message))
    return str(path)


def bundle(size, folder):
    """Returns the message of the bundle adjustment with these numbers of cameras, points and observations."""
    path = next(folder.glob("ba*_n{}_m{}_p{}.txt".format(*size)), None)
    return path and ba.parsed(path)


def text(size, folder):
    """Returns the message of the first characters of the suite's text."""
    path = folder / "lstm_full.txt"
    return lstm.sample(*size, path.read_text(encoding="utf8")) if path.exists() else None


def hand(size, folder):
    """Returns the message of a hand with this number of measured points, of the larger model with coordinates."""
    folder = folder / "complicated_big"
    path = next(folder.glob(f"hand*_t26_c{size[0]}.txt"), None)
    if path is None or len(size) != 1:
        return None
    lines = path.read_text().splitlines()
    count, angles = map(int, lines[0].split()[:2])
    rows = [line.split() for line in lines[1 : count + 1]]
    return {
        "theta": [float(line) for line in lines[2 * count + 1 : 2 * count + 1 + angles]],
        "us": [[float(x) for x in line.split()] for line in lines[count + 1 : 2 * count + 1]],
        "data": {
            "model": hand_model(folder / "model"),
            "correspondences": [int(row[0]) for row in rows],
            "points": [[float(x) for x in row[1:]] for row in rows],
        },
    }


def hand_model(folder):
    """Returns the model of a hand: bones, vertices with their weights, triangles, as text separated by colons."""
    bones, vertices, triangles = (
        [line.split(":") for line in (folder / f"{name}.txt").read_text().splitlines()]
        for name in ("bones", "vertices", "triangles")
    )
    weights = np.zeros((len(vertices), len(bones)))
    for row, vertex in zip(weights, vertices):
        for k in range(int(vertex[8])):
            row[int(vertex[9 + 2 * k])] = float(vertex[10 + 2 * k])
    transforms = np.array([[float(x) for x in bone[2:34]] for bone in bones]).reshape(-1, 2, 4, 4)
    return {
        "bone_count": len(bones),
        "bone_names": [bone[0] for bone in bones],
        "parents": [int(bone[1]) for bone in bones],
        "base_relatives": transforms[:, 0].tolist(),
        "inverse_base_absolutes": transforms[:, 1].tolist(),
        "base_positions": [[float(x) for x in vertex[:3]] + [1.0] for vertex in vertices],
        "weights": weights.tolist(),
        "triangles": [[int(x) for x in triangle] for triangle in triangles],
        "is_mirrored": False,
    }


MESSAGES = {"ba": bundle, "ht": hand, "lstm": text}
