# Chains: kernels over the elements of arrays of one length, run tile by tile, so that what only lies between them stays in the first
# caches and never becomes an array.
#
#     kernels in order ──Fusion──▶ chains (members, values) ──emit──▶ Chain (steps over a tile) ; storages that need memory
#
# A chain grows while the next kernel is elementwise over as many elements; what stands between its members and neither reads what they
# write nor writes what they read goes before it, or is of another chain that grows beside it. Members may make one number of each row,
# and others go on with these numbers, by themselves or beside all elements of their rows (a softmax): tiles then are of whole rows.
# Within a chain copies are other names of one value, equal members are one, a product with 1.0 is the other factor, and what nobody asks
# for is left out. Guards end a chain, and what was computed before the last guard is kept in memory, as other paths go on from there.

# What is done to make a program faster, each to be switched off by a test: the answers are the same without.
passes = {"short": True, "chains": True, "copies": True, "ones": True, "equal": True, "unwanted": True, "memory": True, "dead": True,
          "products": True, "late": True, "followed": True, "pairs": True, "rows": True, "in place": True, "parts": True, "rounds": True}

cdef enum:
    TILE_BYTES = 65536      # of the values of a tile that are not in memory, together
    NARROWEST = 128         # elements of a tile, a multiple of what vector instructions take
    WIDEST = 1024           # so that a few of its values are in the first cache
    LONGEST_ROW = 4096      # of which a tile may be one
    TOTALS = 256            # sums that a chain may end in
    AT_HAND = 524288        # bytes of a tile's operands in memory that several steps read
    STREAMS = 16            # operands in memory that the processor fetches ahead by itself
    AHEAD = 2               # steps
    PERIOD = 256            # elements that an operand of other strides must lie side by side to be read where it is,
    FOLLOWS = 16            # and how many such operands there may be

    IN_TILE = 1             # where an argument of a step is
    IN_MEMORY = 2           # of a storage, from element to element
    UNIFORM = 3             # one number for all elements
    FOLLOWED = 4            # of other strides in memory, side by side or one number as far as a tile goes
    BY_ROW = 5              # of a storage, one number for each row

    MULTIPLIED = 1
    MULZ = 2


cdef struct Nest:           # how an operand of any strides is read in order
    int size                # of an element
    int ndim
    cnp.npy_intp[OUTER + 1] lengths
    cnp.npy_intp[OUTER + 1] strides


cdef struct Followed:
    Place place
    Nest nest


cdef struct Argument:
    int kind
    int64_t slot            # of the tile, or which of those that are followed
    Place place
    int size


cdef struct Step:
    Loop loop               # NULL: `nest` says how the first argument is read into the second
    void* data
    int count
    int results             # the last so many of its arguments
    int total               # which of the chain's sums it adds to, -1 for none
    int product             # it adds up products of its operands: MULTIPLIED or MULZ
    int64_t row             # it makes one number of each row of so many elements, of those elements or of other numbers of the row;
                            # strides are from row to row, and those from element to element stand behind them
    bint single             # it adds up float32
    Argument[OPERANDS] arguments
    cnp.npy_intp[2 * OPERANDS] strides
    Nest nest


cdef struct Chain:
    int64_t n
    int64_t width           # elements of a tile
    int64_t period          # elements from one bound that no tile crosses to the next
    int32_t buffer          # storage of the tile's values
    int count
    int totals
    bint fetches            # operands in memory are fetched ahead
    Step* steps
    int follows
    Followed* followed


cdef inline char* address_of(Place* place, double* v, char** data) noexcept nogil:
    if place.kind == ARRAY:
        return data[place.number] + place.offset
    if place.kind == SCALAR:
        return <char*>&v[place.number]
    if place.kind == FIXED:
        return place.address
    return <char*>&place.constant + place.offset


cdef enum:
    SHORT_ROW = 16          # elements along a last dimension that are read together with the dimension around it


cdef inline void read_rows(const char* source, char* target, int64_t rows, int64_t n, cnp.npy_intp row, cnp.npy_intp step) noexcept nogil:
    """Rows of n elements of 8 bytes side by side."""
    cdef int64_t i, k
    cdef int64_t* to = <int64_t*>target
    for i in range(rows):
        for k in range(n):
            to[k] = (<const int64_t*>(source + i * row + k * step))[0]
        to += n


cdef inline void repeat(char* target, int64_t size, int64_t count) noexcept nogil:
    """Fills `count` places of `size` bytes with what is in the first."""
    cdef int64_t done = 1, more
    while done < count:
        more = min(done, count - done)
        memcpy(target + done * size, target, more * size)
        done += more


cdef int64_t place_in(const Nest* nest, int64_t start, cnp.npy_intp* index) noexcept nogil:
    """Where element `start` of an operand of any strides is, in bytes from the first; `index` becomes its index."""
    cdef int64_t place = 0
    cdef int d
    for d in range(nest.ndim - 1, -1, -1):
        index[d] = start % nest.lengths[d]
        start //= nest.lengths[d]
        place += index[d] * nest.strides[d]
    return place


cdef void read_nest(const Nest* nest, const char* source, char* target, int64_t start, int64_t n) noexcept nogil:
    """Elements start to start + n - 1 of an operand of any strides, side by side."""
    cdef cnp.npy_intp[OUTER + 1] index
    cdef int64_t run, rows, k, x
    cdef int d, last = nest.ndim - 1
    cdef int64_t inner = nest.lengths[last]
    cdef cnp.npy_intp step = nest.strides[last]
    source += place_in(nest, start, index)
    while n > 0:
        d = last
        if last > 0 and nest.size == 8 and index[last] == 0 and n >= inner and (inner <= SHORT_ROW or step == 0 or nest.strides[last - 1] == 0):
            d = last - 1
            rows = min(n // inner, nest.lengths[d] - index[d])
            run = rows * inner
            if nest.strides[d] == 0:
                read_rows(source, target, 1, inner, 0, step)
                repeat(target, inner * 8, rows)
            elif step == 0:
                fastad_spread_rows(source, target, rows, inner, nest.strides[d])
            elif inner == 2:
                read_rows(source, target, rows, 2, nest.strides[d], step)
            elif inner == 3:
                read_rows(source, target, rows, 3, nest.strides[d], step)
            elif inner == 4:
                read_rows(source, target, rows, 4, nest.strides[d], step)
            else:
                read_rows(source, target, rows, inner, nest.strides[d], step)
            index[d] += rows
            source += rows * nest.strides[d]
        else:
            run = min(n, inner - index[last])
            if step == nest.size:
                memcpy(target, source, run * nest.size)
            elif step == 0 and nest.size == 8:
                x = (<const int64_t*>source)[0]
                for k in range(run):
                    (<int64_t*>target)[k] = x
            elif nest.size == 8:
                for k in range(run):
                    (<int64_t*>target)[k] = (<const int64_t*>(source + k * step))[0]
            elif nest.size == 4:
                for k in range(run):
                    (<int32_t*>target)[k] = (<const int32_t*>(source + k * step))[0]
            else:
                for k in range(run):
                    memcpy(target + k * nest.size, source + k * step, nest.size)
            index[last] += run
            source += run * step
        target += run * nest.size
        n -= run
        while d > 0 and index[d] == nest.lengths[d]:
            source -= index[d] * nest.strides[d]
            index[d] = 0
            d -= 1
            index[d] += 1
            source += nest.strides[d]


cdef inline void fetch(const Step* step, double* v, char** data, int64_t start, int64_t m) noexcept nogil:
    cdef int k
    for k in range(step.count - 1):
        if step.arguments[k].kind == IN_MEMORY and step.loop != NULL:
            fastad_fetch(address_of(&step.arguments[k].place, v, data) + start * step.arguments[k].size, m * step.arguments[k].size, False)


cdef void run_chain(const Chain* chain, double* v, char** data, int64_t start, int64_t stop) noexcept nogil:
    """Runs a chain from one element to another: all of it, or a batch of one that ends in no sums."""
    cdef double[TOTALS] totals
    cdef double[TOTALS] lost                # what rounding took from them (Neumaier 1974)
    cdef char* buffer = data[chain.buffer]
    cdef char* args[OPERANDS]
    cdef char* at[FOLLOWS]
    cdef cnp.npy_intp[OUTER + 1] index
    cdef Step* step
    cdef Argument* argument
    cdef cnp.npy_intp m
    cdef cnp.npy_intp[2] rows
    cdef double part, total
    cdef int j, k
    for k in range(chain.totals):
        totals[k] = lost[k] = 0.0
    while start < stop:
        m = min(chain.width, chain.period - start % chain.period, stop - start)
        for k in range(chain.follows):
            at[k] = address_of(&chain.followed[k].place, v, data) + place_in(&chain.followed[k].nest, start, index)
        for j in range(chain.count):
            step = &chain.steps[j]
            if chain.fetches and j + AHEAD < chain.count:
                fetch(&chain.steps[j + AHEAD], v, data, start, m)
            rows[0] = m
            if step.row:
                rows[0], rows[1] = m // step.row, step.row
            for k in range(step.count):
                argument = &step.arguments[k]
                if argument.kind == IN_TILE:
                    args[k] = buffer + argument.slot
                elif argument.kind == FOLLOWED:
                    args[k] = at[argument.slot]
                else:
                    args[k] = address_of(&argument.place, v, data)
                    if argument.kind == BY_ROW:
                        args[k] += start // step.row * argument.size
                    elif argument.kind == IN_MEMORY and step.loop != NULL:
                        args[k] += start * argument.size
            if step.total >= 0:
                if step.product:
                    part = fastad_dot(args[0], args[1], rows[0], step.strides, step.product == MULZ, step.single)
                else:
                    part = fastad_total(args[0], rows[0], step.strides[0], step.single)
                total = totals[step.total] + part
                lost[step.total] += (totals[step.total] - total) + part if fabs(totals[step.total]) >= fabs(part) else (part - total) + totals[step.total]
                totals[step.total] = total
            elif step.loop != NULL:
                step.loop(args, rows, step.strides, step.data)
            else:
                read_nest(&step.nest, args[0], args[1] + (start * step.nest.size if step.arguments[1].kind == IN_MEMORY else 0), start, m)
        start += m
    for j in range(chain.count):
        step = &chain.steps[j]
        if step.total >= 0:
            # An infinite sum has lost nothing that is a number.
            total = totals[step.total] + lost[step.total]
            total = total if total == total else totals[step.total]
            k = step.count - 1
            args[k] = address_of(&step.arguments[k].place, v, data)
            if step.single:
                (<float*>args[k])[0] = <float>total
            else:
                (<double*>args[k])[0] = total
