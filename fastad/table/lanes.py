"""Writes the C kernels that work on many points at once, from the op table: `lanes_rows.h`, which core/lanes_kernels.c includes.

For every row: inline functions for the value and each first partial, a branch of the forward sweep, and a kernel for each first
partial that is not plainly 1, -1 or one of the operands.
"""

import ast
import re
from pathlib import Path

from . import CONSTANTS, ELEMENTARY, OPERANDS

FORMS = {"1.0": "FASTAD_BY_ONE", "-1.0": "FASTAD_BY_MINUS_ONE", "x": "FASTAD_BY_SLOT", "y": "FASTAD_BY_SLOT", "v": "FASTAD_BY_SLOT"}

# Rows that transcendental.h has a loop for.
LOOPS = {"sin": "fastad_sines({}, p, lanes, 0);", "cos": "fastad_sines({}, p, lanes, 1);", "exp": "fastad_exps({}, p, lanes);",
         "expit": "fastad_expits({}, p, lanes);", "log": "fastad_logs({}, p, lanes);", "tanh": "fastad_tanhs({}, p, lanes);"}

BINARY = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.And: "&", ast.Or: "|",
          ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}

# Functions that the compiler turns into instructions; a loop over any other calls it once per lane and is not worth unrolling.
INSTRUCTIONS = frozenset(("fabs", "sqrt", "copysign", "mulz", "div0", "divz", "gap", "sign", "maximum", "minimum", "heaviside"))

HELPERS = frozenset(re.findall(r"double fastad_(\w+)\(", (Path(__file__).parent.parent / "core" / "support.h").read_text()))


def library_name(name):
    """The C function that the value of a row calls by this name."""
    return "fastad_" + name if name in HELPERS else {"ieee_remainder": "remainder"}.get(name, name)


def row_name(name):
    """The C function for a row that a partial refers to."""
    return name + "_v"


def lane_of(name):
    """An operand at lane l."""
    return name if name == "INFINITY" else name + "[l]"


def vector_of(name):
    """An operand at the lanes from l on."""
    return f"FASTAD_AT({name} + l)"


def c_of(tree, function=row_name, operand=str):
    """A rule as a C expression without branches."""
    def visit(part):
        match part:
            case ast.BinOp(op=ast.Div()) if operand is vector_of:
                dividend = visit(part.left) if operands_of(part.left) else f"FASTAD_ALL({visit(part.left)})"
                return f"FASTAD_QUOTIENT({dividend}, {visit(part.right)})"
            case ast.Name():
                return repr(CONSTANTS[part.id]) if part.id in CONSTANTS else operand(part.id)
            case ast.Constant():
                return repr(float(part.value))
            case ast.UnaryOp():
                return f"(-{visit(part.operand)})"
            case ast.BinOp(op=ast.Pow()):
                return f"{function('power')}({visit(part.left)}, {visit(part.right)})"
            case ast.BinOp():
                return f"({visit(part.left)} {BINARY[type(part.op)]} {visit(part.right)})"
            case ast.Compare(ops=[operator], comparators=[right]):
                return f"({visit(part.left)} {BINARY[type(operator)]} {visit(right)})"
            case ast.BoolOp():
                return "(" + f" {BINARY[type(part.op)]} ".join(map(visit, part.values)) + ")"
            case ast.IfExp():
                return f"({visit(part.test)} ? {visit(part.body)} : {visit(part.orelse)})"
            case ast.Call():
                return f"{function(part.func.id)}({', '.join(map(visit, part.args))})"
        raise TypeError(f"a rule holds {ast.dump(part)}, which has no form in C")

    return visit(tree)


def parsed(rule):
    return ast.parse(rule, mode="eval").body


def calls_of(tree):
    """Names of the functions in a rule; a power is a function."""
    return {part.func.id if isinstance(part, ast.Call) else "power" for part in ast.walk(tree)
            if isinstance(part, ast.Call) or isinstance(part, ast.BinOp) and isinstance(part.op, ast.Pow)}


def operands_of(tree):
    return {part.id for part in ast.walk(tree) if isinstance(part, ast.Name)} - CONSTANTS.keys()


def is_quotient(tree):
    """Whether a rule is a quotient of sums, differences and products."""
    parts = (ast.Name, ast.Constant, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop, ast.expr_context)
    return (isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Div) and "INFINITY" not in operands_of(tree)
            and all(isinstance(part, parts) and not isinstance(part, ast.Pow) for part in ast.walk(tree)))


# Rows whose value is made of instructions.
SHORT_ROWS = frozenset(op.name for op in ELEMENTARY if calls_of(parsed(op.v)) <= INSTRUCTIONS)


def loop(target, expression, is_short):
    """The statement that computes an expression at every lane."""
    return f"FASTAD_{'EACH' if is_short else 'EACH_CALL'}({target}[l] = {expression})"


def rule_loop(target, tree):
    """The statement that computes a rule at every lane."""
    if is_quotient(tree):
        return f"FASTAD_VECTORS({target}, {c_of(tree, operand=vector_of)})"
    return loop(target, c_of(tree, operand=lane_of), calls_of(tree) <= SHORT_ROWS)


def known_partials(op):
    """(place of the operand, name of the partial, rule) for each first partial of a row."""
    return [(k, name, op.partials[name]) for k, name in enumerate(op.first_names()) if op.partials.get(name) is not None]


def row_functions():
    """`NAME_v(operands)` for each row and `NAME_dx(x, y, v)` for its first partials."""
    for op in ELEMENTARY:
        signature = ", ".join(f"double {operand}" for operand in OPERANDS[:op.arity])
        yield f"static inline double {op.name}_v({signature}) {{ return {c_of(parsed(op.v), library_name)}; }}\n"


def split_at_loop(rule):
    """(the one call in a rule that transcendental.h has a loop for, the rule with `p` in its place); else (None, rule)."""
    tree = parsed(rule)
    calls = [part for part in ast.walk(tree) if isinstance(part, ast.Call) and part.func.id in LOOPS]
    if len(calls) != 1:
        return None, tree

    class Cut(ast.NodeTransformer):
        def visit_Call(self, call):
            return ast.Name("p") if call is calls[0] else self.generic_visit(call)

    return calls[0], Cut().visit(tree)


def partial_kernel(op, name, rule):
    """The kernel of one partial: p[l] from x[l], y[l], v[l]."""
    call, rest = split_at_loop(rule)
    lines = ["size_t l;"]
    if call is not None:
        [argument] = call.args
        source = "argument"
        if isinstance(argument, ast.Name):
            source = argument.id
        else:
            lines += ["double argument[FASTAD_MAX_LANES];", rule_loop("argument", argument)]
        lines.append(LOOPS[call.func.id].format(source))
    if not (isinstance(rest, ast.Name) and rest.id == "p"):
        lines.append(rule_loop("p", rest))
    body = "".join(f"    {line}\n" for line in [*lines, "(void)x; (void)y; (void)v; (void)l;"])
    return (f"static void {op.name}_{name}_lanes(const double *x, const double *y, const double *v, double *p, int lanes) {{\n"
            f"{body}}}\n")


def needs(rule):
    """What a partial is made of: 1 for x, 2 for y, 4 for the result."""
    names = {part.id for part in ast.walk(parsed(rule)) if isinstance(part, ast.Name)}
    return sum(bit for bit, name in ((1, "x"), (2, "y"), (4, "v")) if name in names)


def table(declaration, entries, default, first_opcode):
    """A C table by opcode and operand."""
    rows = [[default, default] for _ in range(256)]
    for (index, k), entry in entries.items():
        rows[first_opcode + index][k] = entry
    return f"static const {declaration}[256][2] = {{{', '.join(f'{{{a}, {b}}}' for a, b in rows)}}};\n"


def rows_text(first_opcode):
    """lanes_rows.h."""
    kernels, forms, parts, pointers, cases = [], {}, {}, {}, []
    for index, op in enumerate(ELEMENTARY):
        operands = ", ".join(f"{operand}[l]" for operand in OPERANDS[:op.arity])
        if is_quotient(parsed(op.v)):
            statement = rule_loop("out", parsed(op.v))
        else:
            statement = loop("out", f"{op.name}_v({operands})", op.name in SHORT_ROWS)
        cases.append(f"    case {first_opcode + index}: {statement} break; \\\n")
        for k, name, rule in known_partials(op):
            forms[index, k] = FORMS.get(rule, "FASTAD_BY_PARTIAL")
            parts[index, k] = needs(rule)
            if rule not in FORMS:
                kernels.append(partial_kernel(op, name, rule))
                pointers[index, k] = f"{op.name}_{name}_lanes"
    return "".join([
        "/* Written by fastad/table/lanes.py from the op table; changes are lost. */\n", *row_functions(), *kernels,
        "typedef void (*PartialKernel)(const double *x, const double *y, const double *v, double *p, int lanes);\n",
        table("PartialKernel PARTIAL_KERNELS", pointers, "0", first_opcode),
        table("uint8_t FORMS", forms, "255", first_opcode), table("uint8_t NEEDS", parts, "0", first_opcode),
        "#define FASTAD_ROWS \\\n", *cases, "\n"])
