# Steps of a chain that are products and what becomes of them, made one: sums of products, and products added to something; sines and cosines
# of the same numbers. They have the roundings of the two steps they stand for, so that the answers are theirs bit for bit.

cdef struct Joined:
    Loop product
    Loop outer              # what is done with the product, the first or the second of its operands
    int place
    Loop loop               # both, for operands x, y and the other one


cdef Joined[16] joined_loops
cdef int joined_count = 0


cdef void add_joined(Loop product, Loop outer, int place, Loop loop) noexcept:
    global joined_count
    joined_loops[joined_count] = Joined(product, outer, place, loop)
    joined_count += 1


for _place in range(2):
    add_joined(fastad_multiply_double, fastad_add_double, _place, fastad_multiply_add_double)
    add_joined(fastad_multiply_float, fastad_add_float, _place, fastad_multiply_add_float)
    add_joined(fastad_mulz_double, fastad_add_double, _place, fastad_mulz_add_double)
    add_joined(fastad_mulz_float, fastad_add_float, _place, fastad_mulz_add_float)
add_joined(fastad_multiply_double, fastad_subtract_double, 0, fastad_multiply_less_double)
add_joined(fastad_multiply_float, fastad_subtract_float, 0, fastad_multiply_less_float)
add_joined(fastad_multiply_double, fastad_subtract_double, 1, fastad_less_multiply_double)
add_joined(fastad_multiply_float, fastad_subtract_float, 1, fastad_less_multiply_float)


cdef Loop joined_loop(Loop product, Loop outer, int place) noexcept:
    cdef int k
    for k in range(joined_count):
        if joined_loops[k].product == product and joined_loops[k].outer == outer and joined_loops[k].place == place:
            return joined_loops[k].loop
    return NULL


cdef int product_of(Loop loop) noexcept:
    """MULTIPLIED or MULZ for a loop that is a product, else 0."""
    if loop == fastad_multiply_double or loop == fastad_multiply_float or loop == fastad_square_double or loop == fastad_square_float:
        return MULTIPLIED
    return MULZ if loop == fastad_mulz_double or loop == fastad_mulz_float else 0


cdef list joined(list members, set moved):
    """Members of a chain, products that only one of them reads made one with it; `moved` are the ids of what a move reads."""
    cdef Member member, product, other
    cdef Element element
    cdef dict uses = {}
    cdef set gone = set()
    cdef list result = []
    for member in members:
        for element in member.sources:
            uses[id(element)] = uses.get(id(element), 0) + 1
    for member in members:
        other = member
        for place, element in enumerate(member.sources):
            product = element.member
            if product is None or element.stored or uses[id(element)] > 1 or id(element) in moved or id(product) in gone or member.row:
                continue
            other = join_product(product, member, <int>place)
            if other is not None:
                gone.add(id(product))
                break
            other = member
        result.append(other)
    return [member for member in result if id(member) not in gone]


cdef Member join_product(Member product, Member member, int place):
    """A member that does what two do, of which the second reads the first at a place; None if there is none."""
    cdef Member both = Member()
    both.result, both.target, both.is_total, both.single = member.result, member.target, member.is_total, member.single
    both.sources = list(product.sources) if len(product.sources) > 1 else product.sources * 2
    if member.result is None:
        both.product, both.loop = product_of(product.loop), member.loop
        uniform = [(<Element>element).at.kind == UNIFORM for element in both.sources]
        return both if both.product and not all(uniform) else None
    if len(member.sources) != 2 or len(product.sources) != 2:
        return None
    both.loop = joined_loop(product.loop, member.loop, place)
    both.sources.append(member.sources[1 - place])
    return both if both.loop != NULL else None


cdef list paired(list members):
    """Members of a chain, sines and cosines of the same numbers made one that computes both where the first of them stood."""
    cdef Member member, both
    cdef dict first = {}         # by sine or cosine and its operand: the place of the member among the results
    cdef list result = []
    for member in members:
        if member.loop == fast_loop and strcmp(<char*>member.data, b"sin") == 0:
            turn = 0
        elif member.loop == fast_loop and strcmp(<char*>member.data, b"cos") == 0:
            turn = 1
        else:
            result.append(member)
            continue
        place = first.pop((1 - turn, id(member.sources[0])), None)
        if place is None:
            first[turn, id(member.sources[0])] = len(result)
            result.append(member)
            continue
        both = Member()
        both.loop, both.sources = fast_pair_loop, member.sources
        both.result, both.second = member.result, (<Member>result[place]).result
        if turn:
            both.result, both.second = both.second, both.result
        result[place] = both
    return result
