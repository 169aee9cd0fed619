# Systems of equations, inverses, determinants and factorisations: the inner loops of NumPy's own generalized ufuncs, which call LAPACK.
# Where one says that a matrix is singular, or not positive definite, the instruction is left to Python, which raises what NumPy does.

cdef extern from "<fenv.h>" nogil:
    int feclearexcept(int flags)
    int fetestexcept(int flags)
    int FE_INVALID

cdef enum:
    GENERAL_LOOPS = 16
    LONG_MATRIX = 12       # rows of a matrix from which on the GIL is released


cdef struct GeneralLoop:
    Loop loop
    void* data


cdef dict general_places = {}                   # by the name of the ufunc: the place of its loop for float64
cdef GeneralLoop[GENERAL_LOOPS] general_loops
NEVER_FAIL = ("det", "slogdet")


cdef bint run_general(char** args, const cnp.npy_intp* n, const cnp.npy_intp* strides, void* data) noexcept nogil:
    """A loop of general_loops; False where it says that its result is none, as it does by the flag of invalid operations."""
    cdef GeneralLoop* general = <GeneralLoop*>data
    feclearexcept(FE_INVALID)
    general.loop(args, n, strides, general.data)
    return not fetestexcept(FE_INVALID)


cdef bint all_nonzero(char** args, const cnp.npy_intp* n, const cnp.npy_intp* strides, void* data) noexcept nogil:
    cdef cnp.npy_intp i
    for i in range(n[0]):
        if (<double*>(args[0] + i * strides[0]))[0] == 0.0:
            return False
    return True


cdef GeneralLoop* general_loop(str name, int operands) except? NULL:
    """The loop of a generalized ufunc for float64; NULL if this NumPy has none."""
    cdef PyUFuncObject* u
    cdef int i, k
    cdef bint fits
    if name in general_places:
        return &general_loops[<int>general_places[name]]
    ufunc = getattr(getattr(np.linalg, "_umath_linalg", None), name, None)
    if type(ufunc) is not np.ufunc or len(general_places) == GENERAL_LOOPS:
        return NULL
    u = <PyUFuncObject*>ufunc
    if u.nin + u.nout != operands:
        return NULL
    for i in range(u.ntypes):
        fits = True
        for k in range(operands):
            fits = fits and u.types[i * operands + k] == NPY_DOUBLE
        if fits:
            Py_INCREF(ufunc)           # whoever has its loop needs it
            general_loops[len(general_places)] = GeneralLoop(u.functions[i], u.data[i])
            general_places[name] = len(general_places)
            return &general_loops[<int>general_places[name]]
    return NULL


cdef int lower_general(Lowering to, str name, int inputs, list operands, list cores, tuple lengths) except -1:
    """Adds a loop of general_loops over operands (so many inputs, then results), the last `cores` of whose dimensions it works on;
    `lengths` are those of its own dimensions, in the order in which its signature names them.
    """
    cdef Kernel* kernel
    cdef Ref ref
    cdef int k, at = <int>len(operands)
    cdef list parts = [], around = [], results = []
    cdef GeneralLoop* general = general_loop(name, <int>len(operands))
    if general == NULL or len(operands) > OPERANDS or None in operands:
        return 0
    double = np.dtype(float)
    for k, ref in enumerate(operands):
        if 0 in ref.shape or dtype_of(ref) is None:
            return 0
        if k >= inputs and ref.type_number != NPY_DOUBLE:
            results.append((to.between(ref.shape, double), ref))
            ref = results[len(results) - 1][0]
        elif k < inputs:
            ref = to.converted(ref, double)
        operands[k] = ref
        parts.append(ref.like(ref.shape[:len(ref.shape) - cores[k]], ref.strides[:len(ref.shape) - cores[k]], 0))
    kernel = to.add()
    kernel.two_results = len(operands) == inputs + 2
    if name in NEVER_FAIL:
        kernel.loop, kernel.data = general.loop, general.data
    else:
        # What comes behind it must wait for it: it joins no chain.
        kernel.checked, kernel.data, to.checks = run_general, general, True
    if not to.nest(kernel, parts, np.broadcast_shapes(*[(<Ref>part).shape for part in parts])):
        return 0
    for k in range(len(lengths)):
        kernel.lengths[1 + k] = lengths[k]
    for k, ref in enumerate(operands):
        for step in ref.strides[len(ref.shape) - cores[k]:]:
            kernel.strides[at] = step
            at += 1
    to.small = to.small and lengths[0] < LONG_MATRIX
    for computed, ref in results:
        if not to.copy(computed, ref):
            return 0
    return 1


cdef bint is_square(Ref x) except -1:
    return x is not None and len(x.shape) >= 2 and x.shape[len(x.shape) - 1] == x.shape[len(x.shape) - 2]


def _solve(Lowering to, arguments, Ref out):
    cdef Ref a = ref_of(to.tape, arguments["a"])
    cdef Ref b = ref_of(to.tape, arguments["b"])
    if not is_square(a) or b is None:
        return 0
    n = a.shape[len(a.shape) - 1]
    if len(b.shape) == 1:
        return lower_general(to, "solve1", 2, [a, b, out], [2, 1, 1], (n,))
    return lower_general(to, "solve", 2, [a, b, out], [2, 2, 2], (n, b.shape[len(b.shape) - 1]))


def _of_matrix(name, int core):
    """A function of matrices alone, whose result has so many dimensions for each."""
    def lower(Lowering to, arguments, Ref out):
        cdef Ref a = ref_of(to.tape, arguments["a"])
        if not is_square(a):
            return 0
        chosen = name if type(name) is str else name(arguments)
        return lower_general(to, chosen, 1, [a, out], [2, core], (a.shape[len(a.shape) - 1],))
    return lower


def _of_matrix_two(name, int first, int second):
    """The same with two results."""
    def lower(Lowering to, arguments, list outs):
        cdef Ref a = ref_of(to.tape, arguments["a"])
        if not is_square(a):
            return 0
        chosen = name if type(name) is str else name(arguments)
        return lower_general(to, chosen, 1, [a, *outs], [2, first, second], (a.shape[len(a.shape) - 1],))
    return lower


def _cofactors(Lowering to, arguments, Ref out):
    """The determinant times the transposed inverse, where no determinant is zero."""
    cdef Kernel* kernel
    cdef Ref a = ref_of(to.tape, arguments["a"])
    cdef Ref determinant, inverse, turned
    if not is_square(a) or out.type_number != NPY_DOUBLE or a.type_number != NPY_DOUBLE:
        return 0
    around = len(a.shape) - 2
    determinant, inverse = to.between(a.shape[:around], np.dtype(float)), to.between(a.shape, np.dtype(float))
    if not lower_general(to, "det", 1, [a, determinant], [2, 0], (a.shape[around],)):
        return 0
    kernel = to.add()
    kernel.checked, to.checks = all_nonzero, True
    if not to.nest(kernel, [determinant], determinant.shape) \
            or not lower_general(to, "inv", 1, [a, inverse], [2, 2], (a.shape[around],)):
        return 0
    turned = inverse.moved([*range(around), around + 1, around])
    factor = determinant.like((*determinant.shape, 1, 1), (*determinant.strides, 0, 0), 0)
    return to.ufunc(np.multiply, [factor, turned, out], out.shape)


def _half(name):
    return lambda arguments: f"{name}_up" if arguments["UPLO"].upper() == "U" else f"{name}_lo"


LOWERED.update({
    np.linalg.solve: _solve, np.linalg.inv: _of_matrix("inv", 2), np.linalg.det: _of_matrix("det", 0), cofactors: _cofactors,
    np.linalg.cholesky: _of_matrix(lambda arguments: "cholesky_up" if arguments["upper"] else "cholesky_lo", 2),
    np.linalg.eigvalsh: _of_matrix(_half("eigvalsh"), 1),
})

# Functions of several results, which are given as a list.
LOWERED_SEVERAL = {np.linalg.slogdet: _of_matrix_two("slogdet", 0, 0), np.linalg.eigh: _of_matrix_two(_half("eigh"), 1, 2)}
