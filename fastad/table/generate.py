"""Writes the Cython kernels from the op table; `setup.py` calls it before Cython runs.

For every row: inline functions for the value and each partial, a branch in every sweep, a recording of each first partial as
instructions, and the scalar function of `fastad.math`. Files are written only when their text changes.
"""

import ast

from . import CONSTANTS, ELEMENTARY, OPERANDS, SPECIAL

# Opcodes below this are the tape's own (see core/tape.pxd); the elementary rows follow in the order of the table.
FIRST_OPCODE = 32

# This many rows at the head of the table are plain arithmetic.
CHEAP = 4

ELEMENTARY_ARGS = ("x", "y", "v")
SPECIAL_ARGS = ("x", "y", "z", "u", "v")
HEADER = "# Written by fastad/table/generate.py from the op table; changes are lost.\n"


def opcode(op):
    """The C name of a row's opcode."""
    return "OP_" + op.name.upper()


class _ToC(ast.NodeTransformer):
    """Rewrites a rule for C: constants by value, powers and rows as calls of their value functions."""

    def visit_Name(self, name):
        return ast.Constant(CONSTANTS[name.id]) if name.id in CONSTANTS else name

    def visit_Constant(self, constant):
        return ast.Constant(float(constant.value))

    def visit_BinOp(self, operation):
        self.generic_visit(operation)
        if isinstance(operation.op, ast.Pow):
            return ast.Call(ast.Name("power_v"), [operation.left, operation.right], [])
        return operation

    def visit_Call(self, call):
        arguments = [self.visit(argument) for argument in call.args]
        return ast.Call(ast.Name(call.func.id + "_v"), arguments, [])


def c_expression(rule):
    """A rule as a Cython expression on doubles."""
    return ast.unparse(_ToC().visit(ast.parse(rule, mode="eval")))


def value_functions(rows, inline="inline "):
    """`NAME_v(operands)` for each row."""
    for op in rows:
        arguments = ", ".join(f"double {operand}" for operand in OPERANDS[:op.arity])
        constants = "".join(f"    cdef double {name} = {value!r}\n" for name, value in CONSTANTS.items() if name in op.v)
        yield f"cdef {inline}double {op.name}_v({arguments}) noexcept nogil:\n{constants}    return {op.v}\n"


def partial_functions(rows, arguments, inline="inline "):
    """`NAME_dx(operands, v)` and so on for each partial that has a rule."""
    signature = ", ".join(f"double {argument}" for argument in arguments)
    for op in rows:
        for name, rule in op.partials.items():
            if rule is not None:
                yield f"cdef {inline}double {op.name}_{name}({signature}) noexcept nogil:\n    return {c_expression(rule)}\n"


def branches(subject, cases, indent, keep=lambda lines: True):
    """An if/elif chain on a C integer, which Cython turns into a switch."""
    pad, word = " " * indent, "if"
    for label, lines in cases:
        if keep(lines):
            yield f"{pad}{word} {subject} == {label}:\n" + "".join(f"{pad}    {line}\n" for line in lines)
            word = "elif"


def _known(op, name):
    return op.partials.get(name) is not None


def _second(op, j, k):
    return "d" + "".join(sorted(OPERANDS[j] + OPERANDS[k], key=OPERANDS.index))


def _product(factor, op, name, arguments):
    """`factor * partial`, without the multiplication by one."""
    if op.partials[name] == "1.0":
        return factor
    return f"mulz({factor}, {op.name}_{name}({arguments}))"


def _sum(terms):
    return " + ".join(terms) if terms else "0.0"


def tangent_line(op):
    """t[i] = sum over operands of t[operand] times its partial."""
    terms = [_product(f"t[{'ab'[k]}]", op, "d" + OPERANDS[k], "x, y, r")
             for k in range(op.arity) if _known(op, "d" + OPERANDS[k])]
    return f"t[i] = {_sum(terms)}"


def reverse_lines(op):
    """w[operand] += w[i] times its partial, w[i] being nonzero."""
    for k in range(op.arity):
        name = "d" + OPERANDS[k]
        if _known(op, name):
            yield f"w[{'ab'[k]}] += {_product('wi', op, name, 'x, y, r')}"


def reverse_tangent_lines(op):
    """The adjoint as in the reverse sweep, and its tangent: s[operand] += s[i] * partial + w[i] * curvature."""
    for k in range(op.arity):
        name = "d" + OPERANDS[k]
        if not _known(op, name):
            continue
        yield f"w[{'ab'[k]}] += {_product('wi', op, name, 'x, y, r')}"
        curvature = [_product(f"t[{'ab'[j]}]", op, _second(op, j, k), "x, y, r")
                     for j in range(op.arity) if _known(op, _second(op, j, k))]
        terms = [_product("si", op, name, "x, y, r")]
        if curvature:
            terms.append(f"mulz(wi, {_sum(curvature)})")
        yield f"s[{'ab'[k]}] += {_sum(terms)}"


class _ToRecording(ast.NodeVisitor):
    """Turns a rule into nested calls that append its operations to the tape in progress."""

    NAMES = {ast.Add: "add", ast.Sub: "subtract", ast.Mult: "multiply", ast.Div: "divide", ast.Pow: "power"}

    def __init__(self):
        self.lines = []

    def visit_Expression(self, expression):
        return self.visit(expression.body)

    def _step(self, call):
        self.lines.append(f"cdef int32_t s{len(self.lines)} = {call}")
        return f"s{len(self.lines) - 1}"

    def visit_Name(self, name):
        return self._step(f"constant(t, {CONSTANTS[name.id]!r})") if name.id in CONSTANTS else name.id

    def visit_Constant(self, constant):
        return self._step(f"constant(t, {float(constant.value)!r})")

    def visit_UnaryOp(self, operation):
        if isinstance(operation.operand, ast.Constant):
            return self._step(f"constant(t, {-float(operation.operand.value)!r})")
        return self._apply("negative", [operation.operand])

    def visit_BinOp(self, operation):
        return self._apply(self.NAMES[type(operation.op)], [operation.left, operation.right])

    def visit_Call(self, call):
        return self._apply(call.func.id, call.args)

    def _apply(self, name, arguments):
        slots = [self.visit(argument) for argument in arguments]
        if name in _SPECIAL_INDEX:
            slots += ["0"] * (4 - len(slots))
            return self._step(f"record_special(t, {_SPECIAL_INDEX[name]}, {', '.join(slots)})")
        slots += ["0"] * (2 - len(slots))
        return self._step(f"record(t, OP_{name.upper()}, {', '.join(slots)})")


_SPECIAL_INDEX = {op.name: index for index, op in enumerate(SPECIAL)}


def recording_functions(rows, arguments):
    """`NAME_record_dx(tape, operand slots, result slot)` for each first partial that has a rule."""
    signature = ", ".join(f"int32_t {argument}" for argument in arguments)
    for op in rows:
        for name in op.first_names():
            if _known(op, name):
                writer = _ToRecording()
                result = writer.visit(ast.parse(op.partials[name], mode="eval"))
                body = "".join(f"    {line}\n" for line in writer.lines)
                yield f"cdef int32_t {op.name}_record_{name}(CTape* t, {signature}) except -1:\n{body}    return {result}\n"


def opcodes_text():
    """opcodes.pxd: the enum of opcodes, and per opcode its arity, partials mask and kind."""
    lines = [HEADER, "cdef enum Opcode:\n", f"    FIRST_OPCODE = {FIRST_OPCODE}\n"]
    lines += [f"    {opcode(op)} = {FIRST_OPCODE + index}\n" for index, op in enumerate(ELEMENTARY)]
    return "".join(lines)


def kernels_text():
    """kernels.pxd: value and partials of the elementary rows as inline functions."""
    # `cdivision` must stand in this file: inline functions of a .pxd obey its directives, not the includer's.
    return "".join([HEADER, "# cython: cdivision=True\n", "from fastad.core.support cimport *\n\n",
                    "\n".join(value_functions(ELEMENTARY)), "\n", "\n".join(partial_functions(ELEMENTARY, ELEMENTARY_ARGS))])


def sweeps_text():
    """sweeps.pxi: the branches of every sweep over the elementary rows."""
    def function(head, body):
        return head + "".join(body) + "\n"

    tangent = [(opcode(op), [tangent_line(op)]) for op in ELEMENTARY if op.sparsity != "zero"]
    reverse = [(opcode(op), list(reverse_lines(op))) for op in ELEMENTARY]
    second = [(opcode(op), list(reverse_tangent_lines(op))) for op in ELEMENTARY]
    return HEADER + "".join([
        function("cdef inline void tangent_step(int op, int64_t i, int64_t a, int64_t b, double x, double y, double r,\n"
                 "                              double* t) noexcept nogil:\n",
                 list(branches("op", tangent, 4)) + ["    else:\n        t[i] = 0.0\n"]),
        # The cheap rows stay in the loop, which then keeps its pointers in registers; a call is nothing to the others.
        function("cdef void reverse_step_of_others(int op, int64_t a, int64_t b, double x, double y, double r,\n"
                 "                                 double wi, double* w) noexcept nogil:\n",
                 branches("op", reverse[CHEAP:], 4, bool)),
        function("cdef inline void reverse_step(int op, int64_t a, int64_t b, double x, double y, double r,\n"
                 "                              double wi, double* w) noexcept nogil:\n",
                 list(branches("op", reverse[:CHEAP], 4, bool))
                 + ["    else:\n        reverse_step_of_others(op, a, b, x, y, r, wi, w)\n"]),
        function("cdef inline void reverse_tangent_step(int op, int64_t a, int64_t b, double x, double y, double r,\n"
                 "                                      double wi, double si, double* t, double* w, double* s) noexcept nogil:\n",
                 branches("op", second, 4, bool)),
    ])


def value_text():
    """value.pxi: one function from opcode and operands to the value."""
    value = [(opcode(op), [f"return {op.name}_v({', '.join(OPERANDS[:op.arity])})"]) for op in ELEMENTARY]
    masks = {FIRST_OPCODE + index: _mask(op, _depends) for index, op in enumerate(ELEMENTARY)}
    kinds = {FIRST_OPCODE + index: ("float", "integer", "boolean").index(op.kind) for index, op in enumerate(ELEMENTARY)}
    arities = {FIRST_OPCODE + index: op.arity for index, op in enumerate(ELEMENTARY)}

    def array(name, entries):
        values = ", ".join(str(entries.get(code, 0)) for code in range(256))
        return f"cdef uint8_t[256] {name} = [{values}]\n"

    return "".join([HEADER, array("PARTIALS", masks), array("KIND", kinds), array("ARITY", arities),
                    "\ncdef double value_of(int op, double x, double y) noexcept nogil:\n", *branches("op", value, 4),
                    "    return NAN\n"])


def recording_text():
    """recording.pxi: first partials of the elementary rows as instructions."""
    cases = [(opcode(op), [line for k in range(op.arity) if _known(op, "d" + OPERANDS[k])
                           for line in (f"if k == {k}:", f"    return {op.name}_record_d{OPERANDS[k]}(t, x, y, v)")])
             for op in ELEMENTARY]
    return "".join([HEADER, "\n".join(recording_functions(ELEMENTARY, ELEMENTARY_ARGS)),
                    "\ncdef int32_t record_partial(CTape* t, int op, int k, int32_t x, int32_t y, int32_t v) except -1:\n",
                    *branches("op", cases, 4, bool), "    return constant(t, 0.0)\n"])


def _mask(op, has):
    """Bit k: the row has (a known, an unknown) partial by operand k."""
    return sum(1 << k for k in range(op.arity) if has(op, k))


def _depends(op, k):
    return op.depends(k)


def _unknown(op, k):
    return op.depends(k) and not _known(op, "d" + OPERANDS[k])


def _unknown_second(op):
    """Bit 4*j + k: the second partial by operands j and k exists and has no rule."""
    return sum(1 << 4 * j + k for j in range(op.arity) for k in range(op.arity)
               if _second(op, j, k) in op.partials and not _known(op, _second(op, j, k)))


# Functions of which vector.h has a loop over a block; the last argument is that loop's.
BLOCK_FUNCTIONS = {"sin(x)": "fastad_sine_block(x, p, n, 0)", "cos(x)": "fastad_sine_block(x, p, n, 1)"}
FORMS = {"1.0": "FORM_ONE", "-1.0": "FORM_MINUS_ONE", "x": "FORM_X", "y": "FORM_Y", "v": "FORM_V"}


def block_lines(op, name):
    """The body of a kernel that computes one partial for n elements: p[i] from x[i], y[i], v[i]."""
    rule = op.partials[name]
    for call, loop in BLOCK_FUNCTIONS.items():
        if call in rule:
            yield loop
            if rule != call:
                yield "for i in range(n):"
                yield f"    p[i] = {c_expression(rule.replace(call, 'BLOCK')).replace('BLOCK', 'p[i]')}"
            return
    yield "for i in range(n):"
    yield f"    p[i] = {op.name}_{name}(x[i], y[i], v[i])"


def blocks_text():
    """blocks.pxi: first partials of the elementary rows for blocks of elements, and what each of them needs."""
    kernels, entries = [], []
    for op in ELEMENTARY:
        for k in range(op.arity):
            name = "d" + OPERANDS[k]
            if not _known(op, name):
                continue
            rule = op.partials[name]
            names = {node.id for node in ast.walk(ast.parse(rule)) if isinstance(node, ast.Name)}
            needs = sum(bit for bit, operand in ((1, "x"), (2, "y"), (4, "v")) if operand in names)
            form, kernel = FORMS.get(rule, "FORM_KERNEL"), "NULL"
            if form == "FORM_KERNEL":
                kernel = f"{op.name}_{name}_block"
                operands = "const double* x, const double* y, const double* v"
                kernels += [f"cdef void {kernel}({operands}, double* p, int n) noexcept nogil:\n",
                            "    cdef int i\n", *(f"    {line}\n" for line in block_lines(op, name)), "\n"]
            entries.append(f"    set_partial({opcode(op)}, {k}, {form}, {needs}, {kernel})\n")
    return "".join([HEADER, *kernels, "cdef void set_partials() noexcept:\n", *entries])


def partials_text():
    """partials.pxi: all first and all second partials of one elementary instruction, for sweeps of several seeds."""
    first, second = [], []
    for op in ELEMENTARY:
        names = [(f"d[{k}]", "d" + OPERANDS[k]) for k in range(op.arity)]
        first.append((opcode(op), [f"{place} = {op.name}_{name}(x, y, r)" for place, name in names if _known(op, name)]))
        names = [("d[0]", "dxx"), ("d[1]", "dxy"), ("d[2]", "dyy")]
        second.append((opcode(op), [f"{place} = {op.name}_{name}(x, y, r)" for place, name in names if _known(op, name)] +
                       (["return True"] if any(_known(op, name) for _, name in names) else [])))
    return "".join([HEADER, "cdef void first_partials(int op, double x, double y, double r, double* d) noexcept nogil:\n",
                    "    d[0] = d[1] = 0.0\n", *branches("op", first, 4, bool),
                    "\n\ncdef bint second_partials(int op, double x, double y, double r, double* d) noexcept nogil:\n",
                    "    d[0] = d[1] = d[2] = 0.0\n", *branches("op", second, 4, bool), "    return False\n"])


def loops_text():
    """loops.pxi: values of the elementary rows for many elements."""
    loops, entries = [], []
    for op in ELEMENTARY:
        loops.append(f"cdef void {op.name}_loop(const double* x, const double* y, double* v, int n) noexcept nogil:\n    cdef int i\n"
                     f"    for i in range(n):\n        v[i] = {op.name}_v({', '.join(f'{x}[i]' for x in OPERANDS[:op.arity])})\n\n")
        entries.append(f"    VALUE_LOOPS[<int>{opcode(op)}] = {op.name}_loop\n")
    return "".join([HEADER, "ctypedef void (*ValueLoop)(const double* x, const double* y, double* v, int n) noexcept nogil\n\n",
                    "cdef ValueLoop[256] VALUE_LOOPS\n\n", *loops, "cdef void set_value_loops() noexcept:\n", *entries])


def special_text():
    """special.pxi: kernels, recordings and the registry entry of every special row."""
    parts = [HEADER, "\n".join(value_functions(SPECIAL, "")), "\n", "\n".join(partial_functions(SPECIAL, SPECIAL_ARGS, "")), "\n",
             "\n".join(recording_functions(SPECIAL, SPECIAL_ARGS)), "\n"]
    unpack = "o[0], o[1], o[2], o[3], r"
    for op in SPECIAL:
        operands = ", ".join(f"o[{k}]" for k in range(op.arity))
        parts.append(f"cdef double {op.name}_value(const double* o) noexcept nogil:\n    return {op.name}_v({operands})\n\n")
        parts.append(f"cdef void {op.name}_first(const double* o, double r, double* d) noexcept nogil:\n")
        parts += [f"    d[{k}] = {op.name}_{name}({unpack})\n" if _known(op, name) else f"    d[{k}] = 0.0\n"
                  for k, name in enumerate(op.first_names())]
        parts.append(f"\ncdef void {op.name}_second(const double* o, double r, double* d) noexcept nogil:\n")
        parts += [f"    d[{4*j + k}] = {op.name}_{_second(op, j, k)}({unpack})\n" if _known(op, _second(op, j, k))
                  else f"    d[{4*j + k}] = 0.0\n" for j in range(op.arity) for k in range(op.arity)]
        parts.append(f"\ncdef int32_t {op.name}_record(CTape* t, int k, int32_t* o, int32_t r) except -1:\n")
        parts += [f"    if k == {k}:\n        return {op.name}_record_{name}(t, o[0], o[1], o[2], o[3], r)\n"
                  for k, name in enumerate(op.first_names()) if _known(op, name)]
        parts.append("    return constant(t, 0.0)\n\n")
    parts.append("cdef void register_all() noexcept:\n")
    parts += [f"    register_special({index}, {op.arity}, {_mask(op, _depends)}, {_mask(op, _unknown)}, {_unknown_second(op)}, "
              f"{op.name}_value, {op.name}_first, {op.name}_second, {op.name}_record)\n" for index, op in enumerate(SPECIAL)]
    return "".join(parts)


def math_text():
    """math.pxi: the functions of `fastad.math` that are one row each."""
    parts = [HEADER]
    for op in ELEMENTARY:
        for name in op.math:
            operands = OPERANDS[:op.arity]
            rules = [f"d/d{operand} = {op.partials['d' + operand]}" for k, operand in enumerate(operands) if op.depends(k)]
            doc = f"math.{name}, also of active values (dimensionless); {'; '.join(rules) or 'its derivative is zero'}."
            active = " or ".join(f"type({operand}) is Active" for operand in operands)
            call = f"apply_{'unary' if op.arity == 1 else 'binary'}({opcode(op)}, {', '.join(operands)})"
            parts.append(f"def {name}({', '.join(operands)}, /):\n    \"\"\"{doc}\"\"\"\n"
                         + "".join(f"    {operand} = as_number({operand})\n" for operand in operands) +
                         f"    if {active}:\n        return {call}\n"
                         f"    return _math.{name}({', '.join(operands)})\n\n")
    return "".join(parts)


def write_all(folder):
    """Writes every generated file into `folder` (a path); returns the names of those that changed."""
    from pathlib import Path  # not needed to import the package, and dear
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    (folder / "__init__.pxd").touch()
    (folder / "__init__.py").touch()
    from .lanes import rows_text          # it reads C that is not where fastad is installed
    texts = {"opcodes.pxd": opcodes_text(), "kernels.pxd": kernels_text(), "sweeps.pxi": sweeps_text(),
             "value.pxi": value_text(), "recording.pxi": recording_text(), "special.pxi": special_text(),
              "math.pxi": math_text(), "blocks.pxi": blocks_text(), "loops.pxi": loops_text(),
              "partials.pxi": partials_text(), "lanes_rows.h": rows_text(FIRST_OPCODE)}
    changed = []
    for name, text in texts.items():
        path = folder / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            changed.append(name)
    return changed
