# Kernels of what the derivatives of extremes are made of: shares of ties, and their means.

cdef extern from "fastad/programs/extremes.h":
    int FASTAD_REDUCED
    void fastad_tie_parts_double(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void fastad_tie_parts_float(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void fastad_tie_means_double(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void fastad_tie_means_float(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void row_tie_parts_double "fastad_row_tie_parts_double"(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void row_tie_parts_float "fastad_row_tie_parts_float"(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void row_tie_means_double "fastad_row_tie_means_double"(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void row_tie_means_float "fastad_row_tie_means_float"(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void fastad_pick_double(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil
    void fastad_pick_float(char**, const cnp.npy_intp*, const cnp.npy_intp*, void*) noexcept nogil


cdef list merged_axes(tuple shape, first, second, axes):
    """(length, stride in the first, stride in the second operand) of axes of a shape, those that are one in memory merged."""
    cdef list merged = []
    for axis in axes:
        n, step, other = shape[axis], first[axis], second[axis]
        if n == 1:
            continue
        if merged and merged[len(merged) - 1][1:] == (n * step, n * other):
            n *= merged.pop()[0]
        merged.append((n, step, other))
    return merged


cdef int lower_ties(Lowering to, Loop loop, Loop by_rows, Ref first, Ref extreme, Ref a, tuple axes, Ref out, bint large) except -1:
    """Adds a kernel that goes through `a`, and through `first` if it is as `large`, along the reduced axes: `by_rows` along the last one."""
    cdef Kernel* kernel
    cdef int d
    if axes == (len(a.shape) - 1,):
        return to.rows(by_rows, [first, extreme, a, out], 5 if large else 4, a.shape)
    cdef tuple kept = tuple([1 if k in axes else n for k, n in enumerate(a.shape)])
    reduced = merged_axes(a.shape, first.strides if large else (0,) * len(a.shape), a.strides, sorted(axes))
    if len(reduced) > FASTAD_REDUCED:
        return 0
    kernel = to.add()
    kernel.loop = loop
    if not to.nest(kernel, [first.first(axes) if large else first, extreme, a.first(axes), out], kept):
        return 0
    reduced = [(1, 0, 0)] * (FASTAD_REDUCED - len(reduced)) + reduced
    for d in range(FASTAD_REDUCED):
        kernel.lengths[1 + d], kernel.strides[4 + 2 * d], kernel.strides[5 + 2 * d] = reduced[d]
    to.small = to.small and math.prod(a.shape) < SMALL
    return 1


cdef tuple tie_operands(Lowering to, name, arguments, Ref out):
    """(first operand, extreme, array) and the reduced axes; None where there is no kernel for them."""
    cdef Ref first, extreme, a
    dtype, axis = dtype_of(out), arguments["axis"]
    refs = None if dtype is None else refs_of(to, [arguments[name], arguments["extreme"], arguments["a"]], np.dtype(dtype))
    if refs is None:
        return None
    first, extreme, a = refs
    if 0 in a.shape or not a.shape or not first.type_number == extreme.type_number == a.type_number == out.type_number:
        return None
    ndim = len(a.shape)
    return refs, tuple(range(ndim)) if axis is None else tuple([k % ndim for k in (axis if isinstance(axis, tuple) else (axis,))])


def _tie_means(Lowering to, arguments, Ref out):
    cdef Ref t, extreme, a
    found = tie_operands(to, "t", arguments, out)
    if found is None:
        return 0
    (t, extreme, a), axes = found
    if t.shape != a.shape:
        return 0
    if out.itemsize == 8:
        return lower_ties(to, fastad_tie_means_double, row_tie_means_double, t, extreme, a, axes, out, True)
    return lower_ties(to, fastad_tie_means_float, row_tie_means_float, t, extreme, a, axes, out, True)


def _tie_shares(Lowering to, arguments, Ref out):
    """First the parts, then a choice element by element, which may join what follows."""
    cdef Ref w, extreme, a, parts
    found = tie_operands(to, "w", arguments, out)
    if found is None:
        return 0
    (w, extreme, a), axes = found
    parts = to.between(tuple([1 if k in axes else n for k, n in enumerate(a.shape)]), dtype_of(out))
    w = w.like(parts.shape, w.steps_for(parts.shape), 0)
    if out.itemsize == 8:
        added = lower_ties(to, fastad_tie_parts_double, row_tie_parts_double, w, extreme, a, axes, parts, False)
    else:
        added = lower_ties(to, fastad_tie_parts_float, row_tie_parts_float, w, extreme, a, axes, parts, False)
    if not added:
        return 0
    return to.loop(fastad_pick_double if out.itemsize == 8 else fastad_pick_float, NULL, [a, extreme, parts, out], out.shape)
