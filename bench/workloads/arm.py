"""arm: how far a robot arm's hand is from where it should be, on plain numbers; the gradient by the angles of its joints."""

from bench.workloads.problem import workload
from fastad import math


def miss(angles, target):
    """Returns the squared distance of the hand from a point; joints turn about z and y by turns, links get shorter."""
    x = y = z = 0.0
    length = 1.0
    for k in reversed(range(len(angles))):
        x = x + length
        sine, cosine = math.sin(angles[k]), math.cos(angles[k])
        if k % 2:
            x, z = cosine * x + sine * z, cosine * z - sine * x
        else:
            x, y = cosine * x - sine * y, sine * x + cosine * y
        length = 0.9 * length
    return sum((a - b) ** 2 for a, b in zip((x, y, z), target))


PROBLEM = workload("arm", miss, (0,), lambda joints: ([0.1 + 0.05 * k for k in range(joints)], (1.0, 2.0, 0.5)), ((3,), (50,)))
