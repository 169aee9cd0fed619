# Replays of paths that have a schedule: it computes the values that are wanted, which then stand where the interpreter puts them.

cdef Schedule schedule_for(Code code):
    """The schedule of a path from its second replay on; None as long as there is none, and for paths that are better without."""
    if code.scheduled:
        return <Schedule>code.scheduled[0]
    if code.replays < 0:
        return None
    code.replays += 1
    if code.replays < 2:
        return None
    code.replays = -1                # other threads go on without, until it is there
    if code.scalars_only and not code.start:
        schedule = make_schedule(code)
        if schedule is not None:
            code.scheduled.append(schedule)
    return None


cdef Schedule make_schedule(Code code):
    cdef int64_t k, inputs = 0, kept = 0, storages = len(code.tape.storages)
    cdef int32_t* places = <int32_t*>malloc((len(code.inputs) + len(code.outputs) + 2 * code.guards + 1) * sizeof(int32_t))
    cdef int32_t* wanted
    cdef int64_t* at = <int64_t*>malloc((storages + 1) * sizeof(int64_t))
    try:
        if places == NULL or at == NULL:
            return None
        for k in range(len(code.inputs)):
            if code.leaves[k].kind == SCALAR:
                places[inputs] = code.leaves[k].number
                inputs += 1
        wanted = places + inputs
        for x in code.outputs:
            if isinstance(x, int):
                wanted[kept] = <int32_t>code.place(<int64_t>x)
                kept += 1
        for k in range(code.guards):
            wanted[kept] = code.checks[k].a
            kept += 1
            if code.checks[k].op != OP_GUARD_VALUE:
                wanted[kept] = code.checks[k].b
                kept += 1
        for k in range(storages):
            at[k] = -1 if code.offsets[k] < 0 else code.offsets[k] // <int64_t>sizeof(double)
        return schedule_of(&code.c, places, inputs, wanted, kept, at, code.bytes // <int64_t>sizeof(double))
    finally:
        free(places)
        free(at)


cdef bint run_schedule(Workspace ws, Position* at) except -1:
    """All values that are wanted; 0 if a guard does not hold, as `Workspace.run`."""
    cdef CodeView view = ws.code.view()
    cdef Stop stop
    ws.complete = False
    if ws.code.short:
        stop = compute(ws, &view, at)
    else:
        with nogil:
            stop = compute(ws, &view, at)
    if stop == MISSED:
        ws.at = ws.code.check_origins[at.check]
        return False
    return True


cdef Stop compute(Workspace ws, const CodeView* view, Position* at) noexcept nogil:
    """The values, then every guard."""
    cdef double* u = <double*>ws.aligned
    run_forward(&ws.schedule.plan, ws.v, u, ws.data)
    copy_kept(&ws.schedule.plan, u, ws.v)
    at[0] = Position(0, 0, 0)
    for at.window in range(ws.code.window_count):
        if not checked(view, &view.windows[at.window], ws.v, at):
            return MISSED
    return FINISHED


cdef int complete(Workspace ws) except -1:
    """Puts every value to its place after a replay by a schedule, for what reads them."""
    cdef CodeView view
    cdef Position at
    if not ws.complete:
        view, at = ws.code.view(), Position(0, 0, 0)
        with nogil:
            run(&view, ws.v, ws.data, &at, ws.code.c.n)
        ws.complete = True
    return 0


cdef list scheduled_reverse(Workspace ws, list outputs, list adjoints, list inputs):
    """Adjoints of inputs (indices of leaves) for adjoints of outputs (slots, -1 for a constant): arrays and floats."""
    cdef const Plan* p = &ws.schedule.plan
    cdef const double* u = <double*>ws.aligned
    cdef double* w = zeros(p.end)
    cdef int64_t hint = 0, length = len(outputs)
    cdef list results = []
    cdef double adjoint
    cdef Py_ssize_t k
    try:
        for k in range(length):
            adjoint = adjoints[k]
            if adjoint != 0.0 and outputs[k] >= 0:
                w[ws.schedule.index_of(<int32_t>ws.code.place(outputs[k]), &hint)] += adjoint
        if ws.code.short:
            run_reverse(p, u, w)
        else:
            with nogil:
                run_reverse(p, u, w)
        for k in inputs:
            results.append(adjoint_of(ws, k, w))
        return results
    finally:
        give_back(w)


cdef object adjoint_of(Workspace ws, Py_ssize_t k, const double* w):
    """The adjoint of an input."""
    cdef const Leaf* leaf = &ws.code.leaves[k]
    cdef tuple layout
    cdef ndarray array
    if leaf.kind == SCALAR:
        return w[ws.schedule.plan.base + leaf.order]
    layout = <tuple>ws.code.tape.storages[leaf.number]
    if (<cnp.dtype>layout[1]).num != NPY_DOUBLE:
        return np.zeros(*layout)
    array = empty(layout)
    memcpy(PyArray_DATA(array), <const char*>w + ws.code.offsets[leaf.number], PyArray_NBYTES(array))
    return array


cdef double* seeded(Workspace ws, list inputs, list tangents) except NULL:
    """Tangents of inputs (indices of leaves) among zeros by index, to be given back."""
    cdef double* t = zeros(ws.schedule.plan.end)
    cdef const Leaf* leaf
    cdef tuple layout
    cdef ndarray array
    try:
        for k, tangent in zip(inputs, tangents):
            leaf = &ws.code.leaves[<Py_ssize_t>k]
            if leaf.kind == SCALAR:
                t[ws.schedule.plan.base + leaf.order] = tangent
                continue
            layout = <tuple>ws.code.tape.storages[leaf.number]
            if tangent is not None and (<cnp.dtype>layout[1]).num == NPY_DOUBLE:
                array = np.ascontiguousarray(np.broadcast_to(tangent, layout[0]), np.float64)
                memcpy(<char*>t + ws.code.offsets[leaf.number], PyArray_DATA(array), PyArray_NBYTES(array))
    except BaseException:
        give_back(t)
        raise
    return t


cdef list scheduled_tangent(Workspace ws, list inputs, list tangents, list outputs):
    """Tangents of outputs (slots, -1 for a constant) for tangents of inputs (indices of leaves)."""
    cdef const double* u = <double*>ws.aligned
    cdef double* t = seeded(ws, inputs, tangents)
    cdef int64_t hint = 0
    try:
        with nogil:
            run_tangent(&ws.schedule.plan, u, t)
        return [t[ws.schedule.index_of(<int32_t>ws.code.place(<int64_t>slot), &hint)] if slot >= 0 else 0.0 for slot in outputs]
    finally:
        give_back(t)


cdef list scheduled_product(Workspace ws, list inputs, list tangents, int64_t output):
    """The Hessian of an output (a slot, -1 for a constant) times tangents of inputs."""
    cdef const Plan* p = &ws.schedule.plan
    cdef const double* u = <double*>ws.aligned
    cdef double* t = seeded(ws, inputs, tangents)
    cdef double* w = NULL
    cdef double* s = NULL
    cdef int64_t hint = 0
    try:
        w, s = zeros(p.end), zeros(p.end)
        if output >= 0:
            w[ws.schedule.index_of(<int32_t>ws.code.place(output), &hint)] = 1.0
        with nogil:
            run_tangent(p, u, t)
            run_reverse_tangent(p, u, t, w, s)
        return [adjoint_of(ws, k, s) for k in inputs]
    finally:
        give_back(t)
        give_back(w)
        give_back(s)
