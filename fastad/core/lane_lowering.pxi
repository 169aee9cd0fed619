# Lowering of a scalar path to steps on lanes. Places are those of the path's instructions without guards.

cdef struct Instruction:       # what is found out about one
    int32_t same               # the place that has its value: another one for a second read of an element
    int32_t slot               # of its value, -1 while it has none
    int32_t adjoint            # its slot, -1 while it has none
    int32_t last               # the last step that reads its value
    int32_t readers            # how often it is read by steps and guards
    bint needed                # by a result or a guard
    bint kept                  # its value is read by the reverse sweep, or goes out
    bint depends               # on an input that is differentiated
    bint useful                # its adjoint is wanted


cdef class Lowering:
    """The lowering of one path, step by step; `lanes` is what comes of it."""

    cdef Path path
    cdef Lanes lanes
    cdef Instruction* of
    cdef int32_t* free_slots
    cdef int64_t free_count, slots
    cdef int32_t* free_adjoints
    cdef int64_t free_adjoint_count, adjoints, forward_specials
    cdef int32_t* exits            # by guard and result: its place if the guard fails, -1 for none; NULL if there are none at all
    cdef int exit_count            # how many results
    cdef int64_t before            # the instruction that the last step is of, -1 if that can not become one of a pair

    def __cinit__(self):
        self.lanes = Lanes()
        self.before = -1

    def __dealloc__(self):
        free(self.of)
        free(self.free_slots)
        free(self.free_adjoints)
        free(self.exits)

    cdef int allocate(self) except -1:
        cdef Lanes lanes = self.lanes
        cdef int64_t n = self.path.c.n + 1, specials = 1
        cdef int64_t i
        for i in range(self.path.c.n):
            specials += self.path.c.opcode[i] == OP_SPECIAL
        self.of = <Instruction*>checked(calloc(n, sizeof(Instruction)))
        self.free_slots = <int32_t*>checked(malloc(n * sizeof(int32_t)))
        self.free_adjoints = <int32_t*>checked(malloc(n * sizeof(int32_t)))
        lanes.steps = <FastadLaneStep*>checked(malloc((n + self.path.guards) * sizeof(FastadLaneStep)))
        lanes.specials = <FastadLaneSpecial*>checked(calloc(specials, sizeof(FastadLaneSpecial)))
        lanes.expected = <FastadLaneGuard*>checked(malloc((self.path.guards + 1) * sizeof(FastadLaneGuard)))
        lanes.constants = <double*>checked(malloc(n * sizeof(double)))
        lanes.shared = <Port*>checked(malloc(n * sizeof(Port)))
        lanes.loads = <Port*>checked(malloc(n * sizeof(Port)))
        for i in range(n):
            self.of[i].same, self.of[i].slot, self.of[i].adjoint = <int32_t>i, -1, -1
        return 0

    cdef int set_exits(self, dict exits, int count) except -1:
        """Notes at which guards the results of the points that it fails at are there already: {guard: places}."""
        cdef int64_t k
        cdef int j
        if not exits:
            return 0
        self.exit_count = count
        self.exits = <int32_t*>checked(malloc(self.path.guards * count * sizeof(int32_t)))
        self.lanes.exits = <int32_t*>checked(malloc(self.path.guards * count * sizeof(int32_t)))
        for k in range(self.path.guards * count):
            self.exits[k] = -1
        for guard, places in exits.items():
            for j in range(count):
                self.exits[<int64_t>guard * count + j] = self.of[<int64_t>places[j]].same
                self.of[self.exits[<int64_t>guard * count + j]].needed = True
        return 0

    # ---- what is needed ----

    cdef int find_same(self) except -1:
        """Elements of arrays that are read again, or that were put where they are read."""
        cdef const CTape* c = self.path.c
        cdef int64_t i
        cdef dict known = {}
        for i in range(c.n):
            if c.opcode[i] == OP_PUT:
                known[c.a[i], c.b[i]] = self.of[c.a[i - 1]].same
            elif c.opcode[i] == OP_GATHER:
                key = c.a[i], c.b[i]
                self.of[i].same = known.setdefault(key, i)
        return 0

    cdef int operands(self, int64_t i, int32_t* places) noexcept nogil:
        """Places that have the values of the operands of instruction i; returns how many."""
        cdef const CTape* c = self.path.c
        cdef int k, count = 0
        if c.opcode[i] == OP_SPECIAL:
            special_operands(c, i, places)
            count = special_row(c.b[i]).arity
        elif c.opcode[i] >= FIRST_OPCODE:
            places[0], places[1] = c.a[i], c.b[i]
            count = 2
        for k in range(count):
            places[k] = self.of[places[k]].same
        return count

    cdef bint moves(self, int64_t i, int k) noexcept nogil:
        """Whether instruction i has a partial by its operand k."""
        if self.path.c.opcode[i] == OP_SPECIAL:
            return special_row(self.path.c.b[i]).mask >> k & 1
        return kernels.forms[self.path.c.opcode[i]][k] != ZERO_PARTIAL

    cdef int find_dependent(self, dict inputs, object differentiated) except -1:
        cdef const CTape* c = self.path.c
        cdef int64_t i
        cdef int32_t[4] places
        cdef int k
        for i in range(c.n):
            if c.opcode[i] == OP_INPUT:
                self.of[i].depends = inputs[i] in differentiated
            elif c.opcode[i] == OP_GATHER and self.of[i].same == i:
                self.of[i].depends = self.path.leaves[c.a[i]] >= 0 and self.path.leaves[c.a[i]] in differentiated
            for k in range(self.operands(i, places)):
                if self.moves(i, k) and self.of[places[k]].depends:
                    self.of[i].depends = True
        return 0

    cdef void find_needed(self) noexcept nogil:
        """Marks what results and guards need, whose adjoints are wanted, and which values the reverse sweep reads."""
        cdef const CTape* c = self.path.c
        cdef int64_t i
        cdef int32_t[4] places
        cdef int k, count, needs, op
        for i in range(self.path.guards):
            self.of[self.of[self.path.checks[i].a].same].needed = True
            if self.path.checks[i].op != OP_GUARD_VALUE:
                self.of[self.of[self.path.checks[i].b].same].needed = True
        for i in range(c.n - 1, -1, -1):
            op, count = c.opcode[i], self.operands(i, places)
            for k in range(count):
                self.of[places[k]].needed |= self.of[i].needed
                if not (self.of[i].useful and self.moves(i, k) and self.of[places[k]].depends):
                    continue
                self.of[places[k]].useful = True
                needs = 7 if op == OP_SPECIAL else kernels.needs[op][k]
                self.of[i].kept |= needs >> 2
                if op == OP_SPECIAL:
                    self.keep(places, count)
                else:
                    self.of[places[0]].kept |= needs & 1
                    self.of[places[1]].kept |= needs >> 1 & 1

    cdef void keep(self, const int32_t* places, int count) noexcept nogil:
        cdef int k
        for k in range(count):
            self.of[places[k]].kept = True

    # ---- forward ----

    cdef void place_constants(self, dict inputs, object shared) except *:
        """Slots of constants, of what is the same for all points, and of inputs."""
        cdef const CTape* c = self.path.c
        cdef Lanes lanes = self.lanes
        cdef int64_t i
        for i in range(c.n):
            if c.opcode[i] == OP_CONSTANT and self.of[i].needed:
                lanes.constants[lanes.constant_count] = c.v[i]
                self.of[i].slot = <int32_t>lanes.constant_count
                lanes.constant_count += 1
        self.slots = lanes.constant_count
        for i in range(c.n):
            self.place_input(i, inputs, shared, True)
        for i in range(c.n):
            self.place_input(i, inputs, shared, False)

    cdef void place_input(self, int64_t i, dict inputs, object shared, bint the_shared) except *:
        cdef const CTape* c = self.path.c
        cdef Lanes lanes = self.lanes
        cdef Port port
        if not self.of[i].needed or self.of[i].same != i or (c.opcode[i] != OP_INPUT and c.opcode[i] != OP_GATHER):
            return
        port.element, port.at = 0, NULL
        if c.opcode[i] == OP_INPUT:
            port.leaf = inputs[i]
        else:
            port.leaf, port.element = self.path.leaves[c.a[i]], c.b[i]
            if port.leaf < 0:
                if self.path.fixed[c.a[i]] == NULL:
                    raise NotImplementedError("an element of an array that is neither an input nor fixed")
                port.at = self.path.fixed[c.a[i]] + c.b[i]
        if (port.leaf < 0 or port.leaf in shared) != the_shared:
            return
        port.slot = self.of[i].slot = <int32_t>self.slots
        self.slots += 1
        if the_shared:
            lanes.shared[lanes.shared_count] = port
            lanes.shared_count += 1
        else:
            lanes.loads[lanes.load_count] = port
            lanes.load_count += 1

    cdef void find_last(self) noexcept nogil:
        """The last step that reads each value; of a guard that is the instruction it stands before."""
        cdef int64_t i
        cdef int32_t[4] places
        cdef int k, j
        for i in range(self.path.c.n):
            if self.of[i].needed:
                for k in range(self.operands(i, places)):
                    self.note_reader(places[k], <int32_t>i)
        for i in range(self.path.guards):
            self.note_reader(self.of[self.path.checks[i].a].same, self.path.checks[i].place)
            if self.path.checks[i].op != OP_GUARD_VALUE:
                self.note_reader(self.of[self.path.checks[i].b].same, self.path.checks[i].place)
            for j in range(self.exit_count):
                if self.exits[i * self.exit_count + j] >= 0:
                    self.note_reader(self.exits[i * self.exit_count + j], self.path.checks[i].place)

    cdef void note_reader(self, int32_t place, int32_t i) noexcept nogil:
        self.of[place].last = max(self.of[place].last, i)
        self.of[place].readers += 1

    cdef void write_steps(self, bint fast) noexcept nogil:
        cdef const CTape* c = self.path.c
        cdef int64_t i, first, guard = 0
        cdef int32_t[4] places
        cdef int k, count, op
        for i in range(c.n + 1):
            first = guard
            while guard < self.path.guards and self.path.checks[guard].place <= i:
                self.write_guard(guard)
                guard += 1
            if i == c.n or not self.of[i].needed:
                self.release_guards(first, guard, i)
                continue
            op, count = c.opcode[i], self.operands(i, places)
            if count == 0:
                self.release_guards(first, guard, i)
                continue
            self.of[i].slot = self.take_slot()
            if op == OP_SPECIAL:
                self.write_special(i, places)
            else:
                if not self.join(i, places):
                    self.step(self.fast_step(op) if fast else op, self.of[places[0]].slot, self.of[places[1]].slot, self.of[i].slot)
                self.before = i
            for k in range(count):
                self.release(places[k], i)
            self.release_guards(first, guard, i)

    cdef void release_guards(self, int64_t first, int64_t end, int64_t i) noexcept nogil:
        """Lets slots be used again that guards before instruction i are the last to read."""
        cdef int64_t k
        cdef int j
        for k in range(first, end):
            self.release(self.of[self.path.checks[k].a].same, i)
            if self.path.checks[k].op != OP_GUARD_VALUE:
                self.release(self.of[self.path.checks[k].b].same, i)
            for j in range(self.exit_count):
                if self.exits[k * self.exit_count + j] >= 0:
                    self.release(self.exits[k * self.exit_count + j], i)

    cdef bint join(self, int64_t i, const int32_t* places) noexcept nogil:
        """Makes instruction i one step with the one or two before it, where nothing else reads what those give."""
        cdef int64_t t = self.before
        cdef FastadLaneStep* step
        cdef int first, then
        cdef int32_t other
        if t < 0 or self.of[t].kept or self.of[t].last != i or (places[0] == t) == (places[1] == t):
            return False
        step = &self.lanes.steps[self.lanes.step_count - 1]
        first, then = pair_first(step.op), pair_second(self.path.c.opcode[i], places[0] == t)
        if then < 0 or (first < 0 and not FASTAD_LANE_PAIRS <= step.op < FASTAD_LANE_TRIPLES):
            return False
        other = 0 if then == FASTAD_THEN_ABSOLUTE else self.of[places[1 if places[0] == t else 0]].slot
        if first >= 0:
            step.op, step.z = FASTAD_LANE_PAIRS + 8 * first + then, other
        else:
            step.op, step.u = FASTAD_LANE_TRIPLES + 8 * (step.op - FASTAD_LANE_PAIRS) + then, other
        step.out = self.of[i].slot
        return True

    cdef int fast_step(self, int op) noexcept nogil:
        if op == OP_EXP:
            return FASTAD_LANE_EXP
        if op == OP_LOG:
            return FASTAD_LANE_LOG
        if op == OP_SIN:
            return FASTAD_LANE_SIN
        if op == OP_COS:
            return FASTAD_LANE_COS
        return FASTAD_LANE_TANH if op == OP_TANH else op

    cdef void step(self, int op, int32_t x, int32_t y, int32_t out) noexcept nogil:
        # A row of one operand does not read the other, whose value may have no slot.
        self.lanes.steps[self.lanes.step_count] = FastadLaneStep(op, x, max(y, 0), 0, out, 0)
        self.before = -1
        self.lanes.step_count += 1

    cdef void write_guard(self, int64_t k) noexcept nogil:
        cdef const Check* check = &self.path.checks[k]
        cdef int op = FASTAD_LANE_LESS + check.op - OP_GUARD_LESS
        cdef int32_t x = self.of[self.of[check.a].same].slot
        cdef int32_t y = check.b if check.op == OP_GUARD_VALUE else self.of[self.of[check.b].same].slot
        cdef int j, size = self.size_of(check)
        if size:
            self.take_size(&x if size == 1 else &y)
        self.lanes.expected[k].expected = self.path.expected[k] if check.op == OP_GUARD_VALUE else check.expected
        self.lanes.expected[k].results = NULL
        if self.exit_count and self.exits[k * self.exit_count] >= 0:
            self.lanes.expected[k].results = &self.lanes.exits[k * self.exit_count]
            for j in range(self.exit_count):
                self.lanes.exits[k * self.exit_count + j] = self.of[self.exits[k * self.exit_count + j]].slot
        self.step(op, x, y, <int32_t>k)
        self.lanes.steps[self.lanes.step_count - 1].u = size

    cdef int size_of(self, const Check* check) noexcept nogil:
        """Which operand of a guard is a size that the last step takes for it alone: 1 or 2, 0 for none."""
        cdef int64_t t = self.before
        if t < 0 or check.op == OP_GUARD_VALUE or self.path.c.opcode[t] != OP_ABSOLUTE or self.of[t].kept or self.of[t].readers != 1:
            return 0
        return 1 if self.of[check.a].same == t else 2 if self.of[check.b].same == t else 0

    cdef void take_size(self, int32_t* operand) noexcept nogil:
        """Leaves it to a guard to take the size of one of its operands, which the last step would take."""
        cdef FastadLaneStep* step = &self.lanes.steps[self.lanes.step_count - 1]
        if step.op >= FASTAD_LANE_TRIPLES:
            step.op = FASTAD_LANE_PAIRS + (step.op - FASTAD_LANE_TRIPLES) // 8
        elif step.op >= FASTAD_LANE_PAIRS:
            step.op = row_of_first((step.op - FASTAD_LANE_PAIRS) // 8)
        else:
            operand[0] = step.x
            self.lanes.step_count -= 1

    cdef void write_special(self, int64_t i, const int32_t* places) noexcept nogil:
        cdef Special* row = special_row(self.path.c.b[i])
        cdef FastadLaneSpecial* special = &self.lanes.specials[self.lanes.special_count]
        cdef int k
        special.value, special.first, special.arity, special.out = row.value, row.first, row.arity, self.of[i].slot
        for k in range(4):
            special.operands[k] = self.of[places[k if k < row.arity else 0]].slot
            special.targets[k] = -1
        # The adjoint sweep finds it again here; nothing else uses the field of a special instruction.
        self.of[i].last = <int32_t>self.lanes.special_count if self.of[i].kept else self.of[i].last
        self.step(FASTAD_LANE_SPECIAL, <int32_t>self.lanes.special_count, 0, 0)
        self.lanes.special_count += 1

    cdef int32_t take_slot(self) noexcept nogil:
        if self.free_count:
            self.free_count -= 1
            return self.free_slots[self.free_count]
        self.slots += 1
        return <int32_t>(self.slots - 1)

    cdef void release(self, int32_t place, int64_t i) noexcept nogil:
        """Lets the slot of a value be used again that is read by instruction i for the last time."""
        cdef Instruction* x = &self.of[place]
        if x.kept or x.last != i or self.path.c.opcode[place] < FIRST_OPCODE or x.slot < 0:
            return
        self.free_slots[self.free_count] = x.slot
        self.free_count += 1
        x.last = -1               # once, also where both operands are the same

    cdef int find_alive(self) except -1:
        """By guard, which slots of a point are read behind it; from the last step to the first."""
        cdef Lanes lanes = self.lanes
        cdef FastadLaneStep* step
        cdef int64_t i, first = lanes.constant_count + lanes.shared_count
        cdef int k
        cdef set alive = {lanes.outputs[i] for i in range(lanes.output_count) if lanes.outputs[i] >= first}
        if not lanes.guards:
            return 0
        lanes.alive = <int32_t*>checked(malloc(lanes.guards * FASTAD_MOST_MOVED * sizeof(int32_t)))
        lanes.alive_count = <int8_t*>checked(malloc(lanes.guards))
        for i in range(lanes.step_count - 1, -1, -1):
            step = &lanes.steps[i]
            if FASTAD_LANE_LESS <= step.op <= FASTAD_LANE_VALUE:
                lanes.alive_count[step.out] = <int8_t>len(alive) if len(alive) <= FASTAD_MOST_MOVED else -1
                for k, slot in enumerate(alive if len(alive) <= FASTAD_MOST_MOVED else ()):
                    lanes.alive[step.out * FASTAD_MOST_MOVED + k] = slot
                read = [step.x, step.x if step.op == FASTAD_LANE_VALUE else step.y]
                if lanes.expected[step.out].results != NULL:
                    for k in range(self.exit_count):
                        read.append(lanes.expected[step.out].results[k])
            elif step.op == FASTAD_LANE_SPECIAL:
                alive.discard(lanes.specials[step.x].out)
                read = lanes.specials[step.x].operands
            else:
                alive.discard(step.out)
                read = (step.x, step.y, step.z, step.u)
            alive.update([slot for slot in read if slot >= first])
        return 0

    # ---- reverse ----

    cdef int write_sweeps(self, dict inputs, list outputs) except -1:
        """The reverse sweeps of all results, in which adjoint slots are used again."""
        cdef Lanes lanes = self.lanes
        cdef int64_t k, i, output, most = 0
        lanes.sweeps = <LaneSweep*>checked(malloc((len(outputs) + 1) * sizeof(LaneSweep)))
        for k, place in enumerate(outputs):
            output = self.of[<int64_t>place].same if place >= 0 else -1
            if output < 0 or not self.of[output].useful:
                continue
            self.make_room_for_sweep()
            self.free_adjoint_count = self.adjoints = 0
            for i in range(self.path.c.n):
                self.of[i].adjoint = -1
            lanes.sweeps[lanes.sweep_count] = LaneSweep(-1, <int32_t>k, lanes.back_count, 0, lanes.gradient_count, 0)
            self.write_back(output, &lanes.sweeps[lanes.sweep_count])
            self.place_gradients(inputs)
            lanes.sweeps[lanes.sweep_count].back_stop = lanes.back_count
            lanes.sweeps[lanes.sweep_count].gradient_stop = lanes.gradient_count
            lanes.sweep_count += 1
            most = max(most, self.adjoints)
        self.adjoints = most
        return 0

    cdef int make_room_for_sweep(self) except -1:
        cdef Lanes lanes = self.lanes
        cdef int64_t n = self.path.c.n + 1
        lanes.back = <FastadLaneReverse*>checked(realloc(lanes.back, (lanes.back_count + 2 * n) * sizeof(FastadLaneReverse)))
        lanes.gradients = <Port*>checked(realloc(lanes.gradients, (lanes.gradient_count + n) * sizeof(Port)))
        if self.forward_specials:
            lanes.specials = <FastadLaneSpecial*>checked(
                realloc(lanes.specials, (lanes.special_count + self.forward_specials) * sizeof(FastadLaneSpecial)))
        return 0

    cdef void write_back(self, int64_t output, LaneSweep* sweep) noexcept nogil:
        cdef const CTape* c = self.path.c
        cdef int64_t i
        sweep.seed = self.of[output].adjoint = self.take_adjoint()
        for i in range(output, -1, -1):
            if self.of[i].adjoint < 0 or self.of[i].same != i:
                continue
            if c.opcode[i] == OP_SPECIAL:
                self.special_back(i)
            elif c.opcode[i] >= FIRST_OPCODE:
                self.row_back(i)

    cdef int32_t take_adjoint(self) noexcept nogil:
        if self.free_adjoint_count:
            self.free_adjoint_count -= 1
            return self.free_adjoints[self.free_adjoint_count]
        self.adjoints += 1
        return <int32_t>(self.adjoints - 1)

    cdef void give_adjoint(self, int32_t slot) noexcept nogil:
        self.free_adjoints[self.free_adjoint_count] = slot
        self.free_adjoint_count += 1

    cdef bint wanted(self, int64_t i, int k, const int32_t* places) noexcept nogil:
        return self.moves(i, k) and self.of[places[k]].useful and self.of[places[k]].depends

    cdef void row_back(self, int64_t i) noexcept nogil:
        """The steps of one instruction; the adjoint of an operand that is the first to come takes over its slot."""
        cdef int op = self.path.c.opcode[i]
        cdef int32_t[4] places
        cdef int k, first, last = -1, other = -1
        self.operands(i, places)
        for k in range(2):
            if self.wanted(i, k, places):
                last, other = k, last
        if other >= 0 and self.of[places[last]].adjoint >= 0 and self.of[places[other]].adjoint < 0:
            last, other = other, last
        if other >= 0 and places[0] != places[1] and kernels.forms[op][0] == FASTAD_BY_SLOT and kernels.forms[op][1] == FASTAD_BY_SLOT:
            self.both_back(i, places, last, other)
            return
        if other >= 0:
            self.operand_back(i, other, places, False)
        if last >= 0:
            self.operand_back(i, last, places, True)
        else:
            self.give_adjoint(self.of[i].adjoint)

    cdef int32_t target_of(self, int64_t i, int32_t place, bint last, uint8_t* add) noexcept nogil:
        """The adjoint slot of an operand of instruction i; where i is through, its own slot is passed on or given back."""
        cdef Instruction* x = &self.of[place]
        add[0] = x.adjoint >= 0
        if x.adjoint < 0:
            x.adjoint = self.of[i].adjoint if last else self.take_adjoint()
        elif last:
            self.give_adjoint(self.of[i].adjoint)
        return x.adjoint

    cdef void operand_back(self, int64_t i, int k, const int32_t* places, bint last) noexcept nogil:
        cdef FastadLaneReverse step
        cdef int op = self.path.c.opcode[i], needs = kernels.needs[op][k]
        cdef uint8_t add
        step.kind, step.op, step.k, step.source = kernels.forms[op][k], op, k, self.of[i].adjoint
        step.target = self.target_of(i, places[k], last, &add)
        step.add, step.other = add, 0
        step.x, step.y, step.v = max(self.of[places[0]].slot, 0), max(self.of[places[1]].slot, 0), max(self.of[i].slot, 0)
        if step.kind == FASTAD_BY_SLOT:
            step.x = step.v if needs == 4 else step.y if needs == 2 else step.x
        elif step.kind == FASTAD_BY_ONE and step.target == step.source:
            return
        self.lanes.back[self.lanes.back_count] = step
        self.lanes.back_count += 1

    cdef void both_back(self, int64_t i, const int32_t* places, int last, int other) noexcept nogil:
        """Both operands of a product at once."""
        cdef FastadLaneReverse step
        cdef int op = self.path.c.opcode[i]
        cdef uint8_t add, add_other
        step.kind, step.op, step.k, step.source = FASTAD_BY_SLOTS, op, 0, self.of[i].adjoint
        step.other = self.target_of(i, places[other], False, &add_other)
        step.target = self.target_of(i, places[last], True, &add)
        step.add = add | add_other << 1
        step.x = self.of[places[0 if kernels.needs[op][last] == 1 else 1]].slot
        step.y = self.of[places[0 if kernels.needs[op][other] == 1 else 1]].slot
        step.v = 0
        self.lanes.back[self.lanes.back_count] = step
        self.lanes.back_count += 1

    cdef void special_back(self, int64_t i) noexcept nogil:
        # A copy, as each sweep has targets of its own.
        cdef FastadLaneSpecial* special = &self.lanes.specials[self.lanes.special_count]
        cdef FastadLaneReverse* step = &self.lanes.back[self.lanes.back_count]
        cdef int32_t[4] places
        cdef int k
        special[0] = self.lanes.specials[self.of[i].last]
        step.kind, step.op, step.k, step.add = FASTAD_BY_SPECIAL, 0, 0, 0
        step.target = step.other = step.y = step.v = 0
        step.x, step.source = <int32_t>self.lanes.special_count, self.of[i].adjoint
        self.lanes.special_count += 1
        for k in range(self.operands(i, places)):
            if self.wanted(i, k, places):
                special.targets[k] = self.target_of(i, places[k], False, &special.add[k])
        self.give_adjoint(self.of[i].adjoint)
        self.lanes.back_count += 1

    cdef void place_gradients(self, dict inputs) except *:
        cdef const CTape* c = self.path.c
        cdef Lanes lanes = self.lanes
        cdef int64_t i
        for i in range(c.n):
            if self.of[i].adjoint < 0 or self.of[i].same != i:
                continue
            if c.opcode[i] == OP_INPUT:
                lanes.gradients[lanes.gradient_count] = Port(self.of[i].adjoint, inputs[i], 0, NULL)
            elif c.opcode[i] == OP_GATHER:
                lanes.gradients[lanes.gradient_count] = Port(self.of[i].adjoint, self.path.leaves[c.a[i]], c.b[i], NULL)
            else:
                continue
            lanes.gradient_count += 1


cdef int pair_first(int op) noexcept nogil:
    """The number of a row that can be the first of a pair; -1 for none."""
    if op == OP_ADD:
        return 0
    if op == OP_SUBTRACT:
        return 1
    if op == OP_MULTIPLY:
        return 2
    return 3 if op == OP_DIVIDE else -1


cdef int row_of_first(int first) noexcept nogil:
    """The row that a pair begins with."""
    return OP_ADD if first == 0 else OP_SUBTRACT if first == 1 else OP_MULTIPLY if first == 2 else OP_DIVIDE


cdef int pair_second(int op, bint left) noexcept nogil:
    """The number of a row that can go on a pair or triple, with what there is as its left or right operand; -1 for none."""
    if op == OP_ADD:
        return FASTAD_THEN_ADD
    if op == OP_MULTIPLY:
        return FASTAD_THEN_MULTIPLY
    if op == OP_SUBTRACT:
        return FASTAD_THEN_SUBTRACT if left else FASTAD_THEN_SUBTRACTED
    if op == OP_DIVIDE:
        return FASTAD_THEN_DIVIDE if left else FASTAD_THEN_DIVIDED
    return FASTAD_THEN_ABSOLUTE if op == OP_ABSOLUTE and left else -1


cdef Lanes lowered(Path path, object owner, dict inputs, list outputs, object differentiated, object shared, bint fast,
                   dict exits):
    """A path lowered for points that differ in all inputs but those in `shared`.

    inputs           by place of an input: its number
    outputs          places of the results, -1 where one is no slot
    differentiated   numbers of the inputs by which the results are differentiated; empty for values only
    exits            {guard: places of the results of the points that it fails at}, for values where all results are slots
    fast             exp, log, sin, cos and tanh within 4 ulp
    """
    cdef Lowering lowering = Lowering()
    cdef Lanes lanes = lowering.lanes
    cdef int64_t k
    lanes.owner, lowering.path = owner, path
    lowering.allocate()
    lowering.find_same()
    lanes.outputs = <int32_t*>checked(malloc((len(outputs) + 1) * sizeof(int32_t)))
    lanes.output_count = len(outputs)
    lowering.find_dependent(inputs, differentiated)
    for place in outputs:
        if place >= 0:
            k = lowering.of[<int64_t>place].same
            lowering.of[k].needed = lowering.of[k].kept = True
            lowering.of[k].useful = lowering.of[k].depends
    lowering.set_exits(exits, <int>len(outputs))
    lowering.find_needed()
    lowering.place_constants(inputs, shared)
    lowering.find_last()
    lowering.write_steps(fast)
    lowering.forward_specials = lanes.special_count
    for k in range(lanes.output_count):
        lanes.outputs[k] = -1 if outputs[k] < 0 else lowering.of[lowering.of[<int64_t>outputs[k]].same].slot
    lowering.write_sweeps(inputs, outputs if differentiated else [])
    lanes.slots, lanes.adjoints, lanes.guards = max(lowering.slots, 1), lowering.adjoints, path.guards
    if not differentiated:
        lowering.find_alive()
    return lanes
