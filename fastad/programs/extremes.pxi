# Kernels of what the derivatives of extremes are made of: shares of ties, and their means.

cdef extern from "fastad/programs/extremes.h":
    int FASTAD_REDUCED
    void fastad_tie_shares_double(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void fastad_tie_shares_float(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void fastad_tie_means_double(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void fastad_tie_means_float(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil


cdef list merged_axes(Ref x, Ref y, axes):
    """(length, stride of x, stride of y) of axes of two operands of one shape, those that are one in memory merged."""
    cdef list merged = []
    for axis in axes:
        n, step, other = x.shape[axis], x.strides[axis], y.strides[axis]
        if n == 1:
            continue
        if merged and merged[len(merged) - 1][1:] == (n * step, n * other):
            n *= merged.pop()[0]
        merged.append((n, step, other))
    return merged


cdef int lower_tied(Lowering to, arguments, Ref out, bint means) except -1:
    """tie_means if `means`, else tie_shares."""
    cdef Kernel* kernel
    cdef Ref given, extreme, a, large
    cdef tuple axes
    cdef int d
    dtype = dtype_of(out)
    if dtype is None:
        return 0
    refs = refs_of(to, [arguments["t" if means else "w"], arguments["extreme"], arguments["a"]], np.dtype(dtype))
    if refs is None:
        return 0
    given, extreme, a = refs
    large = given if means else out
    if 0 in a.shape or not a.shape or large.shape != a.shape or not given.type_number == extreme.type_number == a.type_number == out.type_number:
        return 0
    axis = arguments["axis"]
    ndim = len(a.shape)
    axes = tuple(range(ndim)) if axis is None else tuple([k % ndim for k in (axis if isinstance(axis, tuple) else (axis,))])
    kept = tuple([1 if k in axes else n for k, n in enumerate(a.shape)])
    reduced = merged_axes(large, a, sorted(axes)) if means else merged_axes(a, out, sorted(axes))
    if len(reduced) > FASTAD_REDUCED:
        return 0
    kernel = to.add()
    if means:
        kernel.loop = fastad_tie_means_double if out.itemsize == 8 else fastad_tie_means_float
        operands = [given.first(axes), extreme, a.first(axes), out]
    else:
        kernel.loop = fastad_tie_shares_double if out.itemsize == 8 else fastad_tie_shares_float
        operands = [given, extreme, a.first(axes), out.first(axes)]
    if not to.nest(kernel, operands, kept):
        return 0
    reduced = [(1, 0, 0)] * (FASTAD_REDUCED - len(reduced)) + reduced
    for d in range(FASTAD_REDUCED):
        kernel.lengths[1 + d], kernel.strides[4 + 2 * d], kernel.strides[5 + 2 * d] = reduced[d]
    to.small = to.small and math.prod(a.shape) < SMALL
    return 1


def _tie_shares(Lowering to, arguments, Ref out):
    return lower_tied(to, arguments, out, False)


def _tie_means(Lowering to, arguments, Ref out):
    return lower_tied(to, arguments, out, True)
