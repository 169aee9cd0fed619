"""The nested searches in plain Python on floats, with derivatives by hand: what a tool that nests must not fall behind."""

import math

from bench.gradbench import saddle
from bench.gradbench.descent import argmax, argmin
from bench.gradbench.particle import STEP


def force_and_slopes(x, y, w):
    """Returns the force (2 numbers) at (x, y), and its derivatives by x, y and w (2 numbers each)."""
    force, by_x, by_y, by_w = [0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]
    for b, moves in ((10.0 - w, True), (0.0, False)):
        a, c = x - 10.0, y - b
        square = a * a + c * c
        third = 1.0 / (square * math.sqrt(square))
        fifth = 3.0 * third / square
        force[0] += a * third
        force[1] += c * third
        by_x[0] += third - a * a * fifth
        by_x[1] -= a * c * fifth
        by_y[0] -= a * c * fifth
        by_y[1] += third - c * c * fifth
        if moves:
            by_w[0] -= a * c * fifth
            by_w[1] += third - c * c * fifth
    return force, by_x, by_y, by_w


def crossing(w, with_slope):
    """Returns the square of where the particle crosses the first axis, and its derivative by w."""
    x, y, u, v = 0.0, 8.0, 0.75, 0.0
    dx = dy = du = dv = 0.0
    while y + STEP * v >= 0.0:
        force, by_x, by_y, by_w = force_and_slopes(x, y, w)
        if with_slope:
            ax, ay = (by_x[k] * dx + by_y[k] * dy + by_w[k] for k in range(2))
            dx, dy, du, dv = dx + STEP * du, dy + STEP * dv, du + STEP * ax, dv + STEP * ay
        x, y, u, v = x + STEP * u, y + STEP * v, u + STEP * force[0], v + STEP * force[1]
    end = x - y / v * u
    slope = dx - (dy * u + y * du) / v + y * u * dv / (v * v)
    return end * end, 2.0 * end * slope


def particle(w):
    return lambda: argmin(lambda w: crossing(w[0], False)[0], lambda w: [crossing(w[0], True)[1]], [w])[0]


def saddle_point(start):
    start = start.tolist()

    def highest(x):
        return argmax(lambda y: saddle.f(x, y), lambda y: [-2.0 * y[0], -2.0 * y[1]], start)

    def slope(x):
        highest(x)
        return [2.0 * x[0], 2.0 * x[1]]

    def search():
        x = argmin(lambda x: saddle.f(x, highest(x)), slope, start)
        return x + highest(x)

    return search


PROBLEMS = {"particle": particle, "saddle": saddle_point}
UNABLE = {}
