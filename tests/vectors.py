"""What the tests of recorded functions share: vectors that decide differently, and a comparison of nested results by type too."""

import numpy as np

from fastad.pytrees import flatten

_RNG = np.random.default_rng(7)
VECTORS = [_RNG.normal(size=5) for _ in range(6)]


def close(actual, desired, rtol=1e-12):
    """Fails unless two nestings have the same leaves: numbers in shape and to the tolerance, others in type and value."""
    found, wanted = flatten(actual)[0], flatten(desired)[0]
    assert len(found) == len(wanted)
    for x, y in zip(found, wanted):
        if isinstance(y, (float, np.ndarray, np.generic)):
            assert np.shape(x) == np.shape(y)
            np.testing.assert_allclose(x, y, rtol, 1e-13)
        else:
            assert type(x) is type(y) and x == y
