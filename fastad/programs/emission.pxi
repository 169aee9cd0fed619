# The steps of a chain (tiles.pxi) over a tile, of its members (chains.pxi).

@cython.final
cdef class Emission:
    """The steps of a chain: what is wanted, in order, with places in the tile that are used again."""

    cdef Fusion fusion
    cdef Growing growing
    cdef list moves            # (Element, storage, offset): copies at the end
    cdef list loads            # Elements that are first brought into the tile
    cdef list order            # Elements that are brought there, and Members: the steps before the moves

    def __cinit__(self, Fusion fusion, Growing growing):
        self.fusion, self.growing = fusion, growing
        self.moves, self.loads = [], []

    cdef int store(self) except -1:
        """Decides where results that memory needs are put: by the member that computes them, or by a copy at the end. What is read of
        memory that a result goes to must have been read before: `overwrite` sees which of these need no copy.
        """
        cdef Element element
        for number, (element, offset) in self.growing.written.items():
            if not self.fusion.is_needed(number):
                continue
            if element.member is not None and not element.stored and number not in self.growing.loaded:
                put_in_memory(element, number, offset)
            else:
                self.moves.append((element, number, offset))
        return 0

    cdef int overwrite(self, list members) except -1:
        """Lets members write over an operand that they, or members before them, were the last to read."""
        cdef Member member
        cdef Element element
        cdef int64_t at
        cdef dict last = {}        # by an element's id: the last member that reads it
        cdef dict made = {}        # and the member that computes it
        cdef list moves = []
        for at, member in enumerate(members):
            last.update([(id(element), at) for element in member.sources])
            for element in (member.result, member.second):
                if element is not None:
                    # A sine is there before the cosine is computed.
                    made[id(element)] = at if member.second is None else at - 1
        moved = {id(element) for element, _, _ in self.moves}
        for element, number, offset in self.moves:
            operands = self.growing.loaded[number].values() if number in self.growing.loaded else ()
            if element.stored or id(element) not in made or any(
                    [id(x) in moved or last.get(id(x), -1) > made[id(element)] for x in operands]):
                moves.append((element, number, offset))
            else:
                put_in_memory(element, number, offset)
        self.moves = moves
        return 0

    cdef list wanted(self):
        """The members that something depends on."""
        cdef Member member
        cdef Element element
        cdef list chosen = []
        if not passes["unwanted"]:
            return self.growing.members
        moved = {id(element) for element, _, _ in self.moves}
        asked = set(moved)
        for member in reversed(self.growing.members):
            if member.result is None or (<Element>member.result).stored or id(member.result) in asked:
                asked.update([id(element) for element in member.sources])
                chosen.append(member)
        chosen.reverse()
        if passes["products"]:
            chosen = joined(chosen, moved)
        return paired(chosen) if passes["pairs"] else chosen

    cdef Chain* chain(self) except NULL:
        cdef Chain* chain
        cdef Member member
        cdef Element element
        cdef list members, sources
        cdef list followed
        cdef int64_t slots, count, unit, at
        self.store()
        members = self.wanted()
        if passes["in place"]:
            self.overwrite(members)
        moved = {id(element) for element, _, _ in self.moves}
        for member in members:
            self.note_loads(member.sources, moved)
        self.note_loads([move[0] for move in self.moves], moved)
        followed = self.follow(members)
        self.order = [element for element in self.loads if element.behind is None]
        for member in members:
            self.order.append(member)
            self.order += [element for element in self.loads if element.behind is member]
        for at, step in enumerate(self.order):
            for element in (<Member>step).sources if type(step) is Member else ():
                element.last = at
        for element, _, _ in self.moves:
            element.last = len(self.order)
        chain = <Chain*>calloc(1, sizeof(Chain))
        if chain == NULL:
            raise MemoryError("no memory for a program")
        chain.n = chain.period = self.growing.n
        chain.steps = <Step*>calloc(len(self.order) + len(self.moves) + 1, sizeof(Step))
        chain.followed = <Followed*>calloc(len(followed) + 1, sizeof(Followed))
        if chain.steps == NULL or chain.followed == NULL:
            free(chain.steps)
            free(chain.followed)
            free(chain)
            raise MemoryError("no memory for a program")
        for element in followed:
            element.at.slot = chain.follows
            chain.followed[chain.follows] = Followed(element.at.place, element.nest)
            chain.follows += 1
            chain.period = min(chain.period, inner_length(element))
        slots = self.place()
        chain.fetches = self.streams(members) > STREAMS
        chain.width = max(<int64_t>NARROWEST, min(<int64_t>WIDEST, TILE_BYTES // (8 * max(slots, <int64_t>1)) // NARROWEST * NARROWEST))
        chain.width = min(chain.width, max(<int64_t>NARROWEST, AT_HAND // (8 * self.read_again(members) + 1) // NARROWEST * NARROWEST))
        unit = self.growing.row or 8
        chain.width = max(unit, chain.width // unit * unit)
        # As many tiles as are needed from bound to bound, of about the same width.
        count = (chain.period + chain.width - 1) // chain.width
        chain.width = (chain.period + count * unit - 1) // (count * unit) * unit
        chain.buffer = self.fusion.code.tile_buffer(slots * bytes_between(chain))
        for step in self.order:
            if type(step) is Member:
                self.add_member(chain, step)
            else:
                self.add_load(chain, step)
        for element, number, offset in self.moves:
            self.add_move(chain, element, number, offset)
        return chain

    cdef int64_t streams(self, list members) except -1:
        """How many operands there are in memory."""
        cdef Member member
        cdef Element element
        cdef set found = set()
        for member in members:
            for element in member.sources:
                if element.member is None and element.at.kind == IN_MEMORY and not element.loaded:
                    found.add(id(element))
        return len(found)

    cdef int64_t read_again(self, list members) except -1:
        """How many operands in memory are read by more than one step."""
        cdef Member member
        cdef Element element
        cdef dict counts = {}
        for member in members:
            for element in member.sources:
                if element.member is None and element.at.kind == IN_MEMORY and not element.loaded:
                    counts[id(element)] = counts.get(id(element), 0) + 1
        return sum([count > 1 for count in counts.values()])

    cdef int note_loads(self, list elements, set moved) except -1:
        """Operands that must be read into the tile: those of other strides, and those that are moved and whose memory the chain writes."""
        cdef Element element
        for element in elements:
            if element.member is None and not element.loaded and (element.is_nest or (
                    id(element) in moved and element.at.kind == IN_MEMORY and element.at.place.number in self.growing.written)):
                element.loaded = True
                self.loads.append(element)
        return 0

    cdef list follow(self, list members):
        """Takes operands that lie side by side, or are one number, as far as a tile may go from those that must be read into it."""
        cdef Member member
        cdef Element element
        cdef int64_t period = self.growing.n
        cdef list followed = []
        if not passes["followed"]:
            return followed
        # Only arithmetic is as fast with one number.
        slower = {id(element) for member in members if not is_arithmetic(member.loop) for element in member.sources}
        for element in self.loads:
            if element.is_nest and inner_length(element) >= PERIOD and len(followed) < FOLLOWS and (
                    inner_stride(element) == element.at.size or (inner_stride(element) == 0 and id(element) not in slower)):
                followed.append(element)
                period = min(period, inner_length(element))
        if self.growing.row and period % self.growing.row:
            return []
        followed = [element for element in followed if inner_length(element) % period == 0]
        for element in followed:
            element.loaded, element.at.kind = False, FOLLOWED
            self.loads.remove(element)
        return followed

    cdef int64_t place(self) except -1:
        """Gives every value that is not in memory a place in the tile; how many places there are."""
        cdef Element element
        cdef list spare = []
        cdef dict ending = {}          # by step: the places that are free behind it
        cdef int64_t count = 0, at
        for at, step in enumerate(self.order):
            for element in ((<Member>step).result, (<Member>step).second) if type(step) is Member else (step,):
                if element is not None and (element.member is None or not element.stored):
                    if spare:
                        element.at.slot = spare.pop()
                    else:
                        element.at.slot, count = count, count + 1
                    ending.setdefault(max(element.last, at), []).append(element.at.slot)
            # Behind the step: a result never lies where an operand of its own lay.
            spare += ending.pop(at, ())
        return count

    cdef int set_argument(self, Step* step, int k, Element element, Chain* chain) except -1:
        step.arguments[k] = element.at
        step.strides[k] = 0 if element.at.kind == UNIFORM or (element.at.kind == FOLLOWED and inner_stride(element) == 0) else element.at.size
        if element.at.kind == IN_TILE or element.loaded:
            step.arguments[k].kind = IN_TILE
            step.arguments[k].slot = element.at.slot * bytes_between(chain)
        return 0

    cdef Step* next_step(self, Chain* chain) noexcept:
        cdef Step* step = &chain.steps[chain.count]
        chain.count += 1
        step.total, step.count, step.results = -1, 2, 1
        return step

    cdef int add_load(self, Chain* chain, Element element) except -1:
        cdef Step* step = self.next_step(chain)
        step.arguments[0], step.strides[0] = element.at, element.at.size
        if element.is_nest:
            step.nest = element.nest
        else:
            step.loop = copy_loop(element.at.size)
        self.set_argument(step, 1, element, chain)
        return 0

    cdef int add_member(self, Chain* chain, Member member) except -1:
        cdef Step* step = self.next_step(chain)
        cdef int k
        step.loop, step.data, step.count = member.loop, member.data, <int>len(member.sources) + 1
        for k in range(step.count - 1):
            self.set_argument(step, k, member.sources[k], chain)
        step.row = member.row
        if member.row and not member.is_total:
            k = step.count - 1
            step.arguments[k].kind, step.arguments[k].place, step.arguments[k].size = BY_ROW, member.target, member.size
            step.strides[k] = member.size
            for k in range(step.count - 1):
                # Elements may be one number.
                if member.of_elements >> k & 1:
                    step.strides[step.count + k] = step.strides[k]
                    step.strides[k] *= member.row
        elif member.result is None:
            step.total, step.single, step.product = chain.totals, member.single, member.product
            chain.totals += 1
            step.arguments[step.count - 1].kind, step.arguments[step.count - 1].place = UNIFORM, member.target
        else:
            self.set_argument(step, step.count - 1, member.result, chain)
            if member.second is not None:
                self.set_argument(step, step.count, member.second, chain)
                step.count, step.results = step.count + 1, 2
        return 0

    cdef int add_move(self, Chain* chain, Element element, int32_t number, int64_t offset) except -1:
        cdef Step* step = self.next_step(chain)
        step.loop = copy_loop(element.at.size)
        self.set_argument(step, 0, element, chain)
        step.arguments[1].kind, step.arguments[1].size = IN_MEMORY, element.at.size
        step.arguments[1].place.kind, step.arguments[1].place.number, step.arguments[1].place.offset = ARRAY, number, offset
        step.strides[1] = element.at.size
        return 0


cdef void put_in_memory(Element element, int32_t number, int64_t offset) noexcept:
    element.stored = True
    element.at.kind = IN_MEMORY
    element.at.place.kind, element.at.place.number, element.at.place.offset = ARRAY, number, offset


cdef int64_t inner_length(Element element) noexcept:
    return element.nest.lengths[element.nest.ndim - 1]


cdef int64_t inner_stride(Element element) noexcept:
    return element.nest.strides[element.nest.ndim - 1]


cdef inline int64_t bytes_between(const Chain* chain) noexcept:
    """From one value of a tile to the next: a cache line more than it needs, so that they do not all fall on the same few places of the cache."""
    return (8 * chain.width + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT + ALIGNMENT


cdef Loop copy_loop(int size) noexcept:
    return copy_8 if size == 8 else copy_4 if size == 4 else copy_1
