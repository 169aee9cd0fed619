"""Derivative rules of products and linear algebra against differences and JAX, in every form of arguments."""

import numpy as np
import pytest
import rule_checks
from rule_checks import case, check, check_covered

from fastad.arrays.rules import linear_algebra, products
from fastad.arrays.rules.registry import RULES

rng = np.random.default_rng(21)


def r(*shape):
    return rng.uniform(-1, 1, shape)


def regular(*shape):
    """Matrices far from singular, with distinct eigenvalues and singular values."""
    n = min(shape[-2:])
    x = 0.2 * r(*shape)
    x[..., range(n), range(n)] += 1 + 0.6 * np.arange(n)
    return x


PAIRS = [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((2, 3), (3, 4))]
CASES = [case(np.dot, r(*a), r(*b)) for a, b in
         [*PAIRS, ((2, 3, 4), (4,)), ((2, 3, 4), (5, 4, 3)), ((4,), (2, 4, 3)), ((2, 4), (3, 4, 2)),
          ((3, 2, 4), (4, 2)), ((2, 3), (3, 1)),
          ((), (2, 3)), ((2, 3), ()), ((), ()), ((0, 3), (3, 2)), ((2, 0), (0, 3)), ((1, 1), (1, 1))]]
CASES += [case(np.dot, 0.5, r(2, 3)), case(np.dot, r(2), 0.5), case(np.dot, r(2, 3), [1.0, 2.0, 3.0]),
          case(np.dot, [[1.0, 2.0]], r(2, 3))]
CASES += [case(f, r(*a), r(*b)) for f in (np.matmul, np.linalg.matmul) for a, b in
          [*PAIRS, ((5, 2, 3), (5, 3, 4)), ((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)),
           ((5, 1, 2, 3), (1, 6, 3, 4)), ((5, 2, 3), (3,)),
           ((3,), (5, 3, 2)), ((1, 2, 3), (5, 3, 4)), ((0, 2, 3), (3, 4)), ((2, 0), (0, 3))]]
CASES += [case(np.matmul, r(3, 2, 5), r(4, 3, 5), axes=[(1, 0), (1, 0), (0, 1)]),
          case(np.matmul, r(3, 2, 5), r(4, 3), axes=[(-2, -3), (-1, -2), (-1, 0)])]
CASES += [case(np.vdot, r(3), r(3)), case(np.vdot, r(2, 3), r(3, 2)), case(np.vdot, r(), r())]
CASES += [case(np.inner, r(*a), r(*b)) for a, b in
          [((3,), (3,)), ((2, 3), (3,)), ((3,), (2, 3)), ((2, 3), (4, 3)), ((2, 4, 3), (5, 2, 3)),
           ((), (2, 3)), ((2,), ()), ((0, 3), (2, 3))]]
CASES += [case(np.outer, r(*a), r(*b)) for a, b in [((3,), (4,)), ((2, 3), (2, 2)), ((), (3,)), ((0,), (3,))]]
CASES += [case(np.outer, [1.0, 2.0], r(3)), case(np.linalg.outer, r(3), r(4))]
if hasattr(np, "vecdot"):
    CASES += [case(np.vecdot, r(2, 3), r(3)), case(np.vecdot, r(2, 3), r(4, 1, 3), keepdims=True),
              case(np.vecdot, r(3, 2), r(3, 2), axis=0),
              case(np.vecdot, r(4, 3, 2), r(3, 2), axis=-2, keepdims=True),
              case(np.vecdot, r(3, 2), r(2, 3), axes=[0, 1, ()]),
              case(np.vecdot, r(3, 2), r(2, 3), axes=[(0,), (1,), (0,)], keepdims=True)]
if hasattr(np, "matvec"):
    CASES += [case(np.matvec, r(2, 3), r(3)), case(np.matvec, r(5, 2, 3), r(4, 1, 3)),
              case(np.matvec, r(3, 2, 5), r(3, 5), axes=[(1, 0), 0, 0]),
              case(np.vecmat, r(2), r(2, 3)), case(np.vecmat, r(4, 1, 2), r(5, 2, 3)),
              case(np.vecmat, r(2, 5), r(2, 3, 5), axes=[0, (0, 1), 1])]
CASES += [case(np.linalg.vecdot, r(2, 3), r(3)), case(np.linalg.vecdot, r(3, 2), r(3, 2), axis=0)]
CASES += [case(f, r(2, 3, 4), r(3, 4, 5)) for f in (np.tensordot, np.linalg.tensordot)]
CASES += [case(np.tensordot, r(*a), r(*b), axes) for a, b, axes in
          [((2, 3), (4, 5), 0), ((2, 3), (3, 4), 1), ((2, 3, 4), (4, 3, 5), ([1, 2], [1, 0])),
           ((2, 3, 4), (4, 3, 5), ((-1, 1), (0, 1))),
           ((3, 4, 2), (5, 2, 3), ([0, 2], [2, 1])), ((3, 2), (4, 3), (0, 1)), ((3,), (3,), 1),
           ((2, 3), (2, 3), 2), ((), (2,), 0),
           ((2, 3, 4, 5), (5, 3, 6, 2), ([3, 0, 1], [0, 3, 1])), ((0, 3), (3, 2), 1)]]
CASES += [case(np.linalg.tensordot, r(2, 3), r(3, 4), axes=1),
          case(np.tensordot, r(2, 3), r(3, 4), np.array([[1], [0]]))]
CASES += [case(np.kron, r(*a), r(*b)) for a, b in
          [((2, 3), (4, 2)), ((3,), (2,)), ((2,), (3, 2)), ((2, 3, 2), (3,)), ((), (2, 2)), ((), ()),
           ((0, 2), (2, 3))]]
CASES += [case(np.cross, r(3), r(3)), case(np.cross, r(4, 3), r(3)), case(np.cross, r(3, 4), r(3, 4), axis=0),
          case(np.cross, r(3, 4), r(4, 3), 0, 1, 0), case(np.cross, r(5, 1, 3), r(4, 3), axisc=0),
          case(np.cross, r(3, 5, 4), r(4, 3), axisa=0),
          case(np.linalg.cross, r(4, 3), r(3)), case(np.linalg.cross, r(3, 4), r(3, 4), axis=0)]
CASES += [case(np.linalg.multi_dot, [r(2, 3), r(3, 4)]), case(np.linalg.multi_dot, [r(3), r(3, 4), r(4, 2)]),
          case(np.linalg.multi_dot, [r(3, 2), r(2, 4), r(4, 1), r(1, 5)]),
          case(np.linalg.multi_dot, [r(3), r(3, 4), r(4)]),
          case(np.linalg.multi_dot, (r(3), r(3)))]
CASES += [case(np.linalg.matrix_power, regular(3, 3), n)
          for n in (-3, -1, 0, 1, 2, 3, 7)] + [case(np.linalg.matrix_power, regular(2, 3, 3), 3)]

EINSUMS = [("ij,jk->ik", (2, 3), (3, 4)), ("ij,jk", (2, 3), (3, 4)), ("ba,cb", (2, 3), (4, 2)),
           ("i,i->", (3,), (3,)), ("i,i", (3,), (3,)),
           ("ij->", (2, 3)), ("ij->j", (2, 3)), ("ji", (2, 3)), ("ij->ji", (2, 3)), ("ii", (3, 3)),
           ("ii->i", (3, 3)), ("iii->i", (3, 3, 3)),
           ("iij->j", (3, 3, 2)), ("iji->ij", (3, 2, 3)), ("iijj->ij", (2, 2, 3, 3)),
           ("ii,ij->j", (3, 3), (3, 2)), ("ij,kl->il", (2, 3), (4, 5)),
           ("ij,kl->", (2, 3), (4, 5)), ("i,j->ij", (2,), (3,)), ("ijk,jk->i", (2, 3, 4), (3, 4)),
           ("bij,bjk->bik", (2, 3, 4), (2, 4, 5)),
           ("...ij,...jk->...ik", (2, 3, 4), (4, 5)), ("...ij,...jk->...ik", (6, 1, 3, 4), (2, 4, 5)),
           ("...,...", (2, 3), (3,)),
           ("...i,i...->...", (2, 3), (3, 2)), ("...i->...", (2, 3)), ("i...->...", (2, 3, 4)),
           ("...", (2, 3)),
           ("...ii->...i", (2, 3, 3)), ("i...,j", (2, 3), (4,)), (",ij", (), (2, 3)), ("->", ()),
           ("ij,jk,kl->il", (2, 3), (3, 4), (4, 5)),
           ("ij,jk,ki", (2, 3), (3, 4), (4, 2)), ("i,i,i->i", (3,), (3,), (3,)),
           ("ij,ij,jk->ik", (2, 3), (2, 3), (3, 4)),
           (" i j , j -> i ", (2, 3), (3,)), ("ij,j->i", (2, 1), (3,)), ("ij,ij->ij", (2, 1), (2, 3)),
           ("ij,ij->i", (1, 3), (2, 1)),
           ("aB,Bc", (2, 3), (3, 4)), ("ij,jk->ik", (0, 3), (3, 4)), ("ij,jk->ik", (2, 0), (0, 4)),
           ("ijk->k", (2, 1, 3)), ("ij->ij", (2, 3)),
           ("a...b,b...->a...", (2, 3, 4), (4, 3)), ("ij...,jk...->ik...", (2, 3, 5), (3, 4, 5))]
CASES += [case(np.einsum, text, *(r(*shape) for shape in shapes)) for text, *shapes in EINSUMS]
CASES += [case(np.einsum, "ij,jk,kl->il", r(2, 3), r(3, 4), r(4, 5), optimize=optimize)
          for optimize in (True, "greedy", "optimal", ["einsum_path", (0, 1), (0, 1)])]
CASES += [case(np.einsum, "ij,jk->ik", r(30, 40), r(40, 50)),
          case(np.einsum, "ij,jk->ik", r(2, 3), r(3, 4), dtype=float, float32=False)]
CASES += [case(np.einsum, r(2, 3), [0, 1], r(3, 4), [1, 2], [0, 2]),
          case(np.einsum, r(2, 3), [0, 1], r(3, 4), [1, 2]),
          case(np.einsum, r(3, 3), [5, 5]), case(np.einsum, r(2, 3, 4), [Ellipsis, 0, 1], r(4, 2), [1, 2],
                                                 [Ellipsis, 0, 2]),
          case(np.einsum, r(2, 3), [30, 2]), case(np.einsum, r(3), [0], [0])]

CASES += [case(np.linalg.solve, regular(*a), r(*b)) for a, b in
          [((3, 3), (3,)), ((3, 3), (3, 2)), ((2, 3, 3), (2, 3, 4)), ((2, 3, 3), (3, 4)),
           ((3, 3), (5, 3, 2)), ((2, 3, 3), (3,)),
           ((2, 1, 3, 3), (4, 3, 1)), ((1, 1), (1,))]]
CASES += [case(np.linalg.solve, np.zeros((0, 0)), np.zeros((0, 2))),
          case(np.linalg.solve, np.zeros((0, 2, 2)), np.zeros((0, 2, 3)))]
CASES += [case(f, x) for f in (np.linalg.inv, np.linalg.det, np.linalg.slogdet)
          for x in (regular(3, 3), regular(2, 3, 3), regular(2, 1, 2, 2), regular(1, 1), np.zeros((0, 2, 2)))]
CASES += [case(np.linalg.det, np.outer([1.0, 2.0, 3.0], [0.5, 1.0, 1.0]) + np.diag([0.0, 1.0, 0.0]),
               float32=False),
          case(linear_algebra.cofactors, regular(2, 3, 3))]


def definite(*shape):
    x = r(*shape)
    return x @ np.swapaxes(x, -1, -2) + np.eye(shape[-1])


def symmetric(*shape):
    x = regular(*shape)
    return x + np.swapaxes(x, -1, -2)


CASES += [case(np.linalg.cholesky, x) for x in (definite(3, 3), definite(2, 4, 4), definite(1, 1))]
if np.lib.NumpyVersion(np.__version__) >= "2.0.0":
    CASES += [case(np.linalg.cholesky, definite(2, 3, 3), upper=True),
              case(np.linalg.cholesky, definite(3, 3), upper=False)]
CASES += [case(np.linalg.eigh, symmetric(3, 3)), case(np.linalg.eigh, symmetric(2, 3, 3), "U"),
          case(np.linalg.eigh, regular(4, 4), "l"),
          case(np.linalg.eigvalsh, symmetric(3, 3)), case(np.linalg.eigvalsh, symmetric(2, 3, 3), UPLO="U")]
CASES += [case(np.linalg.svd, regular(*shape), full_matrices=False, step=1e-3)
          for shape in ((3, 3), (4, 3), (3, 4), (2, 4, 3), (2, 2, 4))]
CASES += [case(np.linalg.svd, regular(3, 3)), case(np.linalg.svd, regular(2, 3, 4), compute_uv=False),
          case(np.linalg.svd, regular(4, 3), True, False), case(np.linalg.svdvals, regular(2, 4, 3)),
          case(np.linalg.svd, symmetric(3, 3), hermitian=True),
          case(np.linalg.svd, symmetric(2, 3, 3), compute_uv=False, hermitian=True)]
CASES += [case(np.linalg.qr, regular(*shape)) for shape in ((3, 3), (4, 3), (3, 4), (2, 5, 3), (2, 2, 4),
                                                            (1, 3))]
CASES += [case(np.linalg.qr, regular(*shape), mode="r") for shape in ((3, 3), (4, 3), (2, 3, 4))]
CASES += [case(np.linalg.qr, regular(*shape), "complete") for shape in ((3, 3), (2, 4))]
CASES += [case(np.linalg.pinv, regular(*shape)) for shape in ((3, 3), (4, 3), (3, 4), (2, 2, 4))]
CASES += [case(np.linalg.pinv, symmetric(3, 3), hermitian=True), case(np.linalg.pinv, regular(4, 2), 1e-10),
          case(np.linalg.pinv, regular(4, 2), rtol=1e-10)]
CASES += [case(np.linalg.lstsq, regular(5, 3), r(5, 2), float32=False),
          case(np.linalg.lstsq, regular(5, 3), r(5), None),
          case(np.linalg.lstsq, regular(3, 5), r(3, 2)), case(np.linalg.lstsq, regular(3, 3), r(3))]


@pytest.fixture
def plain_tuples(monkeypatch):
    """Lets the checks see named tuples as plain ones, which they can rebuild from their entries."""
    named = rule_checks.Call.results

    def results(call, *args, **kwargs):
        result = named(call, *args, **kwargs)
        return tuple(result) if isinstance(result, tuple) else result
    monkeypatch.setattr(rule_checks.Call, "results", results)


@pytest.mark.usefixtures("plain_tuples")
@pytest.mark.parametrize("one", CASES)
def test_rule(one):
    check(one)


@pytest.mark.parametrize("module", [products, linear_algebra])
def test_every_rule_has_a_case(module):
    check_covered(module, CASES)


def test_determinant_of_singular_matrices():
    matrix = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [0.0, 1.0, 1.0]])
    matrices = np.stack([matrix, np.zeros((3, 3)), np.eye(3)])
    got = RULES[np.linalg.det].vjp(np.ones(3), np.linalg.det(matrices), matrices)
    by_hand = [[-2, -2, 2], [1, 1, -1], [0, 0, 0]]
    np.testing.assert_allclose(got, [by_hand, np.zeros((3, 3)), np.eye(3)], atol=1e-13)


def test_singular_matrices_raise_as_numpy_does():
    matrix = np.ones((2, 2))
    with pytest.raises(np.linalg.LinAlgError):
        RULES[np.linalg.slogdet].vjp((0.0, 1.0), np.linalg.slogdet(matrix), matrix)


def test_repeated_eigenvalues():
    """Eigenvalues alone: the sum over equal ones is differentiable. Eigenvectors have no derivative."""
    matrix = np.diag([1.0, 1.0, 2.0])
    result = np.linalg.eigh(matrix)
    rule = RULES[np.linalg.eigh].vjp
    np.testing.assert_allclose(rule((np.array([1.0, 1.0, 0.0]), np.zeros((3, 3))), result, matrix),
                               np.diag([1.0, 1.0, 0.0]), atol=1e-15)
    assert np.isnan(rule((np.zeros(3), np.ones((3, 3))), result, matrix)).any()


def test_polar_factor_of_the_full_svd():
    """What does not depend on the choice of vectors that complete a basis agrees with the reduced form."""
    a = regular(4, 2)
    full, reduced = np.linalg.svd(a), np.linalg.svd(a, full_matrices=False)
    u, s, vt = full
    wu = np.zeros_like(u)
    # <C, (U2 U2^T)> and -<C, U1 U1^T> differ by a constant.
    symmetric_c = r(4, 4)
    wu[:, 2:] = (symmetric_c + symmetric_c.T) @ u[:, 2:]
    got = RULES[np.linalg.svd].vjp((wu, 0 * s, 0 * vt), full, a)
    other = -(symmetric_c + symmetric_c.T) @ reduced[0]
    expected = RULES[np.linalg.svd].vjp((other, 0 * s, 0 * vt), reduced, a, full_matrices=False)
    np.testing.assert_allclose(got, expected, atol=1e-12)
    q, _ = full_q = np.linalg.qr(a, "complete")
    wq = np.zeros_like(q)
    wq[:, 2:] = (symmetric_c + symmetric_c.T) @ q[:, 2:]
    got = RULES[np.linalg.qr].vjp((wq, np.zeros((4, 2))), full_q, a, "complete")
    np.testing.assert_allclose(got, expected, atol=1e-12)


def against_jax(function, other, args, numbers=()):
    """Compares the adjoints of arrays `args` with those of JAX's function; `numbers` are further arguments."""
    jax = pytest.importorskip("jax")
    result = function(*args, *numbers)
    w = np.asarray(r(*np.shape(result)))
    got = RULES[function].vjp(w, result, *args, *numbers)
    got = [one() for one in got] if isinstance(got, tuple) else [got]
    with jax.enable_x64(True):
        expected = jax.vjp(lambda *x: other(*x, *numbers), *args)[1](jax.numpy.asarray(w))
        for one, two in zip(got, expected, strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name, args, numbers", [
    ("inv", [regular(2, 3, 3)], ()), ("det", [regular(3, 3)], ()), ("solve", [regular(3, 3), r(3, 2)], ()),
    ("pinv", [regular(4, 3)], ()), ("matrix_power", [regular(3, 3)], (3,)), ("matrix_power", [regular(3, 3)], (-2,))])
def test_linear_algebra_against_jax(name, args, numbers):
    jnp = pytest.importorskip("jax.numpy")
    against_jax(getattr(np.linalg, name), getattr(jnp.linalg, name), args, numbers)


@pytest.mark.parametrize("text, shapes", [(text, shapes) for text, *shapes in EINSUMS])
def test_einsum_against_jax(text, shapes):
    jax = pytest.importorskip("jax")
    args = [r(*shape) for shape in shapes]
    result = np.einsum(text, *args)
    w = np.asarray(r(*result.shape))
    got = RULES[np.einsum].vjp(w, result, text, *args)[1:]
    with jax.enable_x64(True):
        expected = jax.vjp(lambda *x: jax.numpy.einsum(text, *x), *args)[1](jax.numpy.asarray(w))
        for one, two in zip(got, expected, strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-10, atol=1e-12)
