"""Derivative rules of linear algebra: systems, determinants and factorisations of stacks of matrices.

NumPy reads one triangle of a matrix that it takes to be symmetric; the adjoint is that of what was read, so it is
zero in the other triangle. Eigenvectors and singular vectors of values that are exactly equal have no derivative:
the adjoint is NaN if the dependents involve them, and right if they involve the values alone. Vectors that only
complete a basis (full_matrices, "complete") are determined up to a rotation among themselves: what does not depend
on that has the right adjoint.
"""

import numpy as np

from ...errors import TraceError
from .helpers import like
from .registry import rule

_NO = np._NoValue


def _turned(x):
    """The transpose of matrices in the last two axes."""
    return np.swapaxes(x, -1, -2)


def _column(x):
    return np.expand_dims(x, -1)


def _diagonal(values, matrix=0.0):
    """The matrix with the values, in the last axis, on its diagonal instead of its own."""
    return np.where(np.eye(values.shape[-1], dtype=bool), np.expand_dims(values, -2), matrix)


def _read_triangle(g, upper):
    """The adjoint of a matrix of which one triangle is read, for that of the whole symmetric matrix."""
    both = g + _turned(g)
    triangle = np.triu(both) if upper else np.tril(both)
    return np.where(np.eye(g.shape[-1], dtype=bool), g, triangle)


# Systems of equations and inverses.

@rule(np.linalg.solve, "a", "b", structure="dense")
def _solve(w, result, a, b):
    vector = np.ndim(b) == 1
    w, x = (_column(w), _column(result)) if vector else (w, result)
    turned = _turned(a)

    def right():
        return np.linalg.solve(turned, w)
    return (lambda: like(-np.matmul(right(), _turned(x)), a),
            lambda: like(right()[..., 0] if vector else right(), b))


@rule(np.linalg.inv, "a", structure="dense")
def _inv(w, result, a):
    turned = _turned(result)
    return like(-np.matmul(np.matmul(turned, w), turned), a)


def _pinv_adjoint(w, a, p):
    """The adjoint of a for its pseudo-inverse p while the rank stays as it is.

    Golub and Pereyra, SIAM J. Numer. Anal. 10 (1973) 413.
    """
    turned, wt = _turned(p), _turned(w)
    left = np.matmul(wt, np.matmul(p, turned))
    right = np.matmul(np.matmul(turned, p), wt)
    return (left - np.matmul(a, np.matmul(p, left)) + right - np.matmul(np.matmul(right, p), a)
            - np.matmul(np.matmul(turned, w), turned))


@rule(np.linalg.pinv, "a", structure="dense")
def _pinv(w, result, a, rcond=None, hermitian=False, *, rtol=_NO):
    if not hermitian:
        return like(_pinv_adjoint(w, a, result), a)
    symmetric = np.tril(a) + _turned(np.tril(a, -1))
    return like(_read_triangle(_pinv_adjoint(w, symmetric, result), upper=False), a)


@rule(np.linalg.lstsq, "a", "b", structure="dense", results=4)
def _lstsq(w, result, a, b, rcond=None):
    wx, wr, _, ws = w
    x, residuals = result[0], result[1]
    if np.ndim(b) == 1:
        wx, x, b_columns = _column(wx), _column(x), _column(b)
    else:
        b_columns = b
    limit = np.finfo(a.dtype).eps * max(np.shape(a)) if rcond is None else rcond
    p = np.linalg.pinv(a, limit)

    def pull():
        """The adjoint of b - a x: that is orthogonal to the columns of a, so x does not matter."""
        return 2 * wr * (b_columns - np.matmul(a, x))

    def of_a():
        out = _pinv_adjoint(np.matmul(wx, _turned(b_columns)), a, p)
        if residuals.size:
            out = out - np.matmul(pull(), _turned(x))
        u, _, vt = np.linalg.svd(a, full_matrices=False)
        return like(out + np.matmul(u * ws, vt), a)

    def of_b():
        out = np.matmul(_turned(p), wx)
        return like(np.reshape(out + pull() if residuals.size else out, np.shape(b)), b)
    return of_a, of_b


# Determinants.

def cofactors(a):
    """The cofactors of matrices, shape (..., n, n): the derivative of the determinant, also where it is 0."""
    protocol = getattr(type(a), "__array_function__", None)
    if protocol is not None and protocol is not np.ndarray.__array_function__:
        return protocol(a, cofactors, (type(a),), (a,), {})
    determinant = np.linalg.det(a)
    if np.all(determinant != 0):
        return determinant[..., None, None] * _turned(np.linalg.inv(a))
    u, s, vt = np.linalg.svd(a)
    signs = np.linalg.det(u) * np.linalg.det(vt)
    others = np.stack([np.prod(np.delete(s, i, axis=-1), axis=-1) for i in range(s.shape[-1])], axis=-1)
    return (signs[..., None, None] * np.matmul(u * others[..., None, :], vt)).astype(a.dtype)


@rule(cofactors, "a", structure="dense")
def _cofactors(w, result, a):
    """LinAlgError for singular matrices: of a derivative of second order of the determinant only."""
    turned = _turned(np.linalg.inv(a))
    trace = np.sum(w * turned, axis=(-1, -2), keepdims=True)
    return like(trace * result - np.matmul(np.matmul(result, _turned(w)), turned), a)


@rule(np.linalg.det, "a", structure="dense")
def _det(w, result, a):
    return like(_column(_column(w)) * cofactors(a), a)


@rule(np.linalg.slogdet, "a", structure="dense", results=2)
def _slogdet(w, result, a):
    return like(_column(_column(w[1])) * _turned(np.linalg.inv(a)), a)


# Factorisations.

def _cholesky_adjoint(w, lower, a):
    """The adjoint of a for that of its lower factor: Murray, arXiv:1602.07527."""
    middle = np.tril(np.matmul(_turned(lower), np.tril(w)))
    middle = np.where(np.eye(middle.shape[-1], dtype=bool), 0.5 * middle, middle)
    turned = _turned(lower)
    right = _turned(np.linalg.solve(turned, _turned(np.linalg.solve(turned, middle))))
    return _read_triangle(right, upper=False)


@rule(np.linalg.cholesky, "a", structure="dense")
def _cholesky(w, result, a, /, *, upper=False):
    if upper:
        return like(_turned(_cholesky_adjoint(_turned(w), _turned(result), a)), a)
    return like(_cholesky_adjoint(w, result, a), a)


def _over_gaps(rotation, involved, gaps):
    """rotation / gaps; where a gap is 0, NaN if the vectors are involved (not 0) and 0 if they are not."""
    equal = gaps == 0
    free = np.where(involved == 0, 0, np.nan).astype(gaps.dtype)
    return np.where(equal, free, rotation / np.where(equal, 1, gaps))


def _off_diagonal(x):
    return np.where(np.eye(x.shape[-1], dtype=bool), 0, x)


def _gaps(values):
    """values[j] - values[i] in row i, column j, and 1 on the diagonal."""
    gaps = np.expand_dims(values, -2) - np.expand_dims(values, -1)
    return np.where(np.eye(values.shape[-1], dtype=bool), 1, gaps)


@rule(np.linalg.eigh, "a", structure="dense", results=2)
def _eigh(w, result, a, UPLO="L"):
    values, vectors = result
    inner = _off_diagonal(np.matmul(_turned(vectors), w[1]))
    # Only the antisymmetric part can matter: a rotation of the vectors among themselves.
    rotation = 0.5 * (inner - _turned(inner))
    middle = _over_gaps(rotation, np.abs(inner) + np.abs(_turned(inner)), _gaps(values))
    g = np.matmul(np.matmul(vectors, _diagonal(w[0], middle)), _turned(vectors))
    return like(_read_triangle(g, UPLO.upper() == "U"), a)


@rule(np.linalg.eigvalsh, "a", structure="dense")
def _eigvalsh(w, result, a, UPLO="L"):
    vectors = np.linalg.eigh(a, UPLO)[1]
    g = np.matmul(vectors * np.expand_dims(w, -2), _turned(vectors))
    return like(_read_triangle(g, UPLO.upper() == "U"), a)


def _singular_values(w, a):
    """The adjoint of a for the adjoint of its singular values."""
    u, _, vt = np.linalg.svd(a, full_matrices=False)
    return np.matmul(u * np.expand_dims(w, -2), vt)


def _off_space(g, vectors, rest, g_rest):
    """The part of the adjoint g of vectors outside the space they span.

    Vectors `rest` that complete the basis turn against `vectors`: their adjoint belongs to these too.
    """
    out = g - np.matmul(vectors, np.matmul(_turned(vectors), g))
    return out - np.matmul(rest, np.matmul(_turned(g_rest), vectors))


def _svd_adjoint(wu, ws, wvt, u, s, vt):
    """The adjoint of a for those of its singular value decomposition."""
    k = s.shape[-1]
    wv, v = _turned(wvt), _turned(vt)
    head, rest = (Ellipsis, slice(None, k)), (Ellipsis, slice(k, None))
    outside_u = _off_space(wu[head], u[head], u[rest], wu[rest])
    outside_v = _off_space(wv[head], v[head], v[rest], wv[rest])
    u, v = u[head], v[head]
    inner_u = _off_diagonal(np.matmul(_turned(u), wu[head]))
    inner_v = _off_diagonal(np.matmul(_turned(v), wv[head]))
    turn_u, turn_v = inner_u - _turned(inner_u), inner_v - _turned(inner_v)
    involved = sum(np.abs(x) + np.abs(_turned(x)) for x in (inner_u, inner_v))
    # s_j / (s_j^2 - s_i^2) and s_i / (s_j^2 - s_i^2) as partial fractions; that of the sum is regular.
    sums = np.expand_dims(s, -2) + np.expand_dims(s, -1)
    middle = 0.5 * (_over_gaps(turn_u + turn_v, involved, _gaps(s))
                    + _over_gaps(turn_u - turn_v, involved, sums))
    g = np.matmul(np.matmul(u, _diagonal(ws, middle)), _turned(v))
    divisor = np.expand_dims(s, -2)
    out_u = _over_gaps(outside_u, outside_u, np.broadcast_to(divisor, outside_u.shape))
    out_v = _over_gaps(outside_v, outside_v, np.broadcast_to(divisor, outside_v.shape))
    return g + np.matmul(out_u, _turned(v)) + np.matmul(u, _turned(out_v))


@rule(np.linalg.svd, "a", structure="dense", results="list")
def _svd(w, result, a, full_matrices=True, compute_uv=True, hermitian=False):
    if hermitian:
        symmetric = np.tril(a) + _turned(np.tril(a, -1))
        g = _svd_adjoint(*w, *result) if compute_uv else _singular_values(w, symmetric)
        return like(_read_triangle(g, upper=False), a)
    return like(_svd_adjoint(*w, *result) if compute_uv else _singular_values(w, a), a)


@rule(np.linalg.svdvals, "x", structure="dense")
def _svdvals(w, result, x, /):
    return like(_singular_values(w, x), x)


def _qr_square(wq, wr, q, r):
    """The adjoint of a, which has at least as many rows as columns.

    Walter and Lehmann, arXiv:1001.1654, the rectangular QR decomposition in reverse mode.
    """
    m = np.matmul(r, _turned(wr)) - np.matmul(_turned(wq), q)
    m = np.tril(m) + _turned(np.tril(m, -1))
    return _turned(np.linalg.solve(r, _turned(wq + np.matmul(q, m))))


@rule(np.linalg.qr, "a", structure="dense", results="list")
def _qr(w, result, a, mode="reduced"):
    if mode == "raw":
        raise TraceError("np.linalg.qr(a, mode='raw') has no derivative rule; use mode='reduced'")
    rows, columns = np.shape(a)[-2:]
    k = min(rows, columns)
    if mode == "r":
        q, r = np.linalg.qr(a)
        wq, wr = np.zeros_like(q), w
    else:
        (wq, wr), (q, r) = w, result
    if np.shape(q)[-1] > k:
        rest = (Ellipsis, slice(k, None))
        # Columns that complete the basis turn against the others as little as they must.
        wq, q, tail = wq[..., :k], q[..., :k], np.matmul(q[rest], np.matmul(_turned(wq[rest]), q[..., :k]))
        wq, wr, r = wq - tail, wr[..., :k, :], r[..., :k, :]
    if rows >= columns:
        return like(_qr_square(wq, np.triu(wr), q, r), a)
    right = wr[..., k:]
    wq = wq + np.matmul(a[..., k:], _turned(right))
    first = _qr_square(wq, np.triu(wr[..., :k]), q, r[..., :k])
    return like(np.concatenate([first, np.matmul(q, right)], axis=-1), a)
