# Rounds: kernels in a row that go over the same batches, one batch after the other, so that what one leaves to the next is still
# near the processor: products of many matrices and arithmetic around them, as those of a mixture of Gaussians.
#
#     kernels around a product of batches ──part_of──▶ parts, of one batch each ──▶ a kernel with a Round, where the last stood
#
# Their memory has its place by now. Later kernels for one batch come before earlier ones for the batches behind it: that is the same
# if what they touch is apart, or if each batch has a part of its own there, at the same place for both.

cdef enum:
    FAR = 1 << 20           # bytes of an array that one kernel leaves to another: smaller ones are near as it is,
    NEAR = 13 << 16         # and of the arrays of one batch, together, that stay near
    LONG_ENOUGH = 256       # elements of a chain
    PASSED = 8              # kernels that stand between those of a round and may go before it
    PARTS = 32              # kernels that are looked at on either side of a product


cdef struct Round:
    int64_t batches
    int count
    Kernel* kernels         # for the first batch; `advance` leads to the others


@cython.final
cdef class Part:
    """A kernel for one batch of a round."""

    cdef Kernel kernel
    cdef int64_t place          # in its row
    cdef Py_ssize_t record
    cdef int number             # among those of its record
    cdef list touched           # Spans

    cdef bint gains_by(self, Part other) except -1:
        """Whether both touch, batch by batch, what is far away when one comes after all batches of the other."""
        for span in self.touched:
            for beside in other.touched:
                if (<Span>span).in_step_with(<Span>beside) and (<Span>span).size >= FAR:
                    return True
        return False

    cdef bint may_alternate(self, Part later) except -1:
        """Whether this part may come, for one batch, after a later one for the batches before; or after a kernel that is none."""
        for span in self.touched:
            for beside in later.touched:
                if ((<Span>span).writes or (<Span>beside).writes) and (<Span>span).meets(<Span>beside) \
                        and not (<Span>span).in_step_with(<Span>beside):
                    return False
        return True


@cython.final
cdef class Span:
    """Memory that a kernel touches: a storage."""

    cdef int64_t own            # the storage that it is if that has memory of its own, else -1
    cdef int64_t start, size    # where it is in the workspace, and its bytes
    cdef bint writes
    cdef bint by_batch          # each batch touches a part of its own, as large as those of the others, in order

    cdef bint in_step_with(self, Span other) noexcept:
        """Whether each batch touches the same part for both."""
        return self.by_batch and other.by_batch and self.own == other.own and self.start == other.start and self.size == other.size

    cdef bint meets(self, Span other) noexcept:
        return self.own == other.own and (
            self.own >= 0 or (self.start < other.start + other.size and other.start < self.start + self.size))


@cython.final
cdef class Rounds:
    """Makes rounds of the kernels of a Code."""

    cdef Code code
    cdef list storages
    cdef set apart              # storages that are arrays of their own
    cdef list row               # (record, number) of kernels with nothing in between
    cdef dict strips            # by record: a Part that can be none of a round

    def __cinit__(self, Code code):
        self.code, self.storages, self.row = code, code.tape.storages + code.extra, []
        self.apart = {number for number, _ in code.given} | {number for number, _ in code.fixed}
        self.strips = {}

    cdef Span span(self, int32_t number, int64_t advance, int64_t batches, bint whole, bint writes):
        cdef Span span = Span.__new__(Span)
        span.size = bytes_for(self.code, number, self.storages[number])
        span.own = number if number in self.apart else -1
        span.start = 0 if span.own >= 0 else self.code.offsets[number]
        span.by_batch, span.writes = whole and advance > 0 and advance * batches == span.size, writes
        return span

    cdef Part part_of(self, list row, int64_t place, int64_t batches):
        """The kernel at a place of a row as a part of a round; None if it can be none."""
        cdef Part part = Part.__new__(Part)
        cdef Kernel* kernel = &part.kernel
        cdef Place* operand
        cdef int k, d
        cdef int64_t each
        part.place, part.touched = place, []
        part.record, part.number = row[place]
        kernel[0] = self.code.kernels[part.record][part.number]
        if kernel.strip != NULL or kernel.round != NULL or kernel.is_guard or kernel.checked != NULL or kernel.total:
            return None
        if kernel.chain != NULL:
            return part if self.add_chain(part, kernel.chain, batches) else None
        if kernel.loop == NULL or not (kernel.elementwise or kernel.reorders or is_own_product(kernel.loop)):
            return None
        if kernel.outer and kernel.around[0] % batches == 0:
            each = kernel.around[0] = kernel.around[0] // batches
            for k in range(kernel.count):
                kernel.advance[k] = each * kernel.steps[0][k]
            if each == 1:
                kernel.outer -= 1
                for d in range(kernel.outer):
                    kernel.around[d] = kernel.around[d + 1]
                    for k in range(kernel.count):
                        kernel.steps[d][k] = kernel.steps[d + 1][k]
        elif kernel.outer == 0 and kernel.lengths[0] % batches == 0:
            each = kernel.lengths[0] = kernel.lengths[0] // batches
            for k in range(kernel.count):
                kernel.advance[k] = each * kernel.strides[k]
        else:
            return None
        for k in range(kernel.count):
            operand = &kernel.places[k]
            if operand.kind == ARRAY:
                part.touched.append(
                    self.span(operand.number, kernel.advance[k], batches, operand.offset == 0, is_written(kernel, k)))
            elif is_written(kernel, k):
                return None
        return part if self.writes_by_batch(part) else None

    cdef bint writes_by_batch(self, Part part) except -1:
        # What all batches write is a sum, perhaps in pairs.
        for span in part.touched:
            if (<Span>span).writes and not (<Span>span).by_batch:
                return False
        return True

    cdef bint add_chain(self, Part part, const Chain* chain, int64_t batches) except -1:
        cdef const Step* step
        cdef const Argument* argument
        cdef int64_t each = chain.n // batches, advance
        cdef int j, k
        cdef bint writes
        if chain.n % batches or each < LONG_ENOUGH or chain.totals:
            return False
        for k in range(chain.follows):
            if chain.followed[k].place.kind == ARRAY:
                part.touched.append(self.span(chain.followed[k].place.number, 0, batches, False, False))
        for j in range(chain.count):
            step = &chain.steps[j]
            # Functions take longer than memory does.
            if (step.row and each % step.row) or not (
                    step.loop == NULL or step.row or is_arithmetic(step.loop) or is_copy(step.loop)):
                return False
            for k in range(step.count):
                argument = &step.arguments[k]
                if argument.kind == IN_TILE or argument.kind == FOLLOWED or argument.place.kind != ARRAY:
                    continue
                writes = k >= step.count - step.results
                advance = 0
                if argument.kind == BY_ROW:
                    advance = each // step.row * argument.size
                elif argument.kind == IN_MEMORY and (step.loop != NULL or writes):
                    advance = each * argument.size
                part.touched.append(self.span(argument.place.number, advance, batches, argument.place.offset == 0, writes))
        part.touched.append(self.span(chain.buffer, 0, 1, False, False))
        return self.writes_by_batch(part)

    cdef int find(self) except -1:
        """Goes over the kernels in order; guards, and instructions that read or write memory otherwise, come between them."""
        cdef Code code = self.code
        cdef const CTape* c = &code.c
        cdef int64_t i, check = 0, next_short = 0
        cdef int64_t pause = code.place(code.start) if code.start else -1
        cdef int k
        cdef dict ends = dict(code.taken.ends)
        for i in range(c.n):
            if i == pause or (check < code.guards and code.checks[check].place <= i):
                self.end_row()
                while check < code.guards and code.checks[check].place <= i:
                    check += 1
            if c.opcode[i] == OP_GATHER or c.opcode[i] == OP_PUT or (c.opcode[i] == OP_ARRAY and code.counts[c.a[i]] < 0):
                self.end_row()
            elif c.opcode[i] == OP_ARRAY:
                if c.a[i] in ends:
                    self.note_strip(c.a[i], next_short, ends[c.a[i]])
                    next_short = ends[c.a[i]]
                self.row += [(<Py_ssize_t>c.a[i], k) for k in range(code.counts[c.a[i]])]
        return self.end_row()

    cdef int note_strip(self, Py_ssize_t record, int64_t start, int64_t stop) except -1:
        cdef Part part = Part.__new__(Part)
        cdef const Short* short
        cdef int64_t j
        cdef int k
        part.touched = []
        for j in range(start, stop):
            short = &self.code.taken.shorts[self.code.taken.order[j]]
            for k in range(short.count):
                if short.at[k].kind == ARRAY:
                    part.touched.append(self.span(short.at[k].number, 0, 1, False, k == short.count - 1))
        self.strips[record] = part
        return 0

    cdef int end_row(self) except -1:
        cdef list row = self.row, rounds = []
        cdef int64_t at = 0, behind = 0
        cdef const Kernel* kernel
        self.row = []
        while at < <int64_t>len(row):
            kernel = &self.code.kernels[<Py_ssize_t>row[at][0]][<int>row[at][1]]
            if is_own_product(kernel.loop) and kernel.outer == 0 and kernel.lengths[0] > 1:
                parts = self.round_with(row, at, behind, kernel.lengths[0])
                if parts:
                    rounds.append((parts, kernel.lengths[0]))
                    behind = at = (<Part>parts[len(parts) - 1]).place + 1
                    continue
            at += 1
        for parts, batches in reversed(rounds):
            self.join(parts, batches)
        return 0

    cdef list round_with(self, list row, int64_t at, int64_t behind, int64_t batches):
        """The parts of the largest round with the kernel at a place of a row, from `behind` on; none if fewer than two gain by it."""
        cdef list parts = []
        cdef list passed = []       # what stands between parts, and goes before the round
        cdef Part part = self.part_of(row, at, batches)
        cdef int64_t place
        if part is None or not part.gains_by(part):
            return parts
        for place in range(at, min(at + PARTS, <int64_t>len(row))):
            part = self.part_of(row, place, batches)
            if part is not None and alternate(parts, part) and bytes_of_batch([*parts, part], batches) <= NEAR:
                parts.append(part)
                continue
            part = self.strips.get(row[place][0])
            if part is None or len(passed) == PASSED or not parts or not alternate(parts, part):
                break
            passed.append(part)
        for place in range(at - 1, max(behind, at - PARTS) - 1, -1):
            part = self.part_of(row, place, batches)
            if part is not None and all([part.may_alternate(<Part>one) for one in [*parts, *passed]]) \
                    and bytes_of_batch([part, *parts], batches) <= NEAR:
                parts.insert(0, part)
                continue
            part = self.strips.get(row[place][0])
            if part is None or len(passed) == 2 * PASSED:
                break
            passed.append(part)
        # At its ends stand kernels that gain by it.
        while parts and not any([(<Part>parts[0]).gains_by(<Part>one) for one in parts[1:]]):
            del parts[0]
        while parts and not any([(<Part>parts[len(parts) - 1]).gains_by(<Part>one) for one in parts[:len(parts) - 1]]):
            parts.pop()
        return parts if len(parts) > 1 else []

    cdef int join(self, list parts, int64_t batches) except -1:
        """Puts a kernel with a round in place of the last of its kernels, and nothing in place of the others."""
        cdef Code code = self.code
        cdef Round* round = <Round*>calloc(1, sizeof(Round))
        cdef Kernel* kernels = <Kernel*>calloc(len(parts), sizeof(Kernel))
        cdef Kernel* entry
        cdef Part part = <Part>parts[len(parts) - 1]
        cdef int k
        if round == NULL or kernels == NULL:
            free(round)
            free(kernels)
            raise MemoryError("no memory for a program")
        for k in range(<int>len(parts)):
            kernels[k] = (<Part>parts[k]).kernel
        round.batches, round.count, round.kernels = batches, <int>len(parts), kernels
        entry = &code.kernels[part.record][part.number]
        memset(entry, 0, sizeof(Kernel))
        entry.round = round
        for part in reversed(parts[:len(parts) - 1]):
            code.counts[part.record] -= 1
            for k in range(part.number, code.counts[part.record]):
                code.kernels[part.record][k] = code.kernels[part.record][k + 1]
        code.rounds += 1
        return 0


cdef bint alternate(list parts, Part later) except -1:
    """Whether all of them may alternate with a later one."""
    for part in parts:
        if not (<Part>part).may_alternate(later):
            return False
    return True


cdef bint is_own_product(Loop loop) noexcept:
    """Whether a loop is a product of matrices of fastad's. Around BLAS's, which copies what it multiplies, rounds gain nothing."""
    return loop != NULL and (loop == narrow.of_double or loop == narrow.of_float or loop == fastad_product_double
                             or loop == fastad_product_float)


cdef int64_t bytes_of_batch(list parts, int64_t batches) except -1:
    """Bytes that the parts of one batch touch together."""
    cdef dict sizes = {}
    for part in parts:
        for span in (<Part>part).touched:
            if (<Span>span).by_batch:
                sizes[(<Span>span).own, (<Span>span).start] = (<Span>span).size // batches
    return sum(sizes.values())


cdef bint run_round(const Round* round, double* v, char** data) noexcept nogil:
    cdef int64_t batch
    cdef int k
    for batch in range(round.batches):
        for k in range(round.count):
            if not run_part(&round.kernels[k], v, data, batch, round.batches):
                return False
    return True
