"""Small changes of a program's meaning, one at a time: what mutation checks are made of."""

from __future__ import annotations

import ast
import gc
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType

_COMPARE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.MatMult: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}


@dataclass(frozen=True)
class Mutant:
    """One change of one file."""

    path: str  # of the file, from the root of the repository
    line: int  # first line of what is changed
    text: str  # of that line
    last: int  # and the last one
    kind: str
    before: str
    after: str
    start: int  # the bytes of the file that `after` takes the place of
    stop: int

    def apply(self, source: bytes) -> bytes:
        """The changed file."""
        return source[: self.start] + self.after.encode() + source[self.stop :]

    @property
    def change(self) -> str:
        """What is changed into what, on one line."""
        return " -> ".join(" ".join(text.split()) for text in (self.before, self.after))

    @property
    def name(self) -> str:
        """File, text of the line, and change: tells a mutant in later versions of the file, too."""
        return f"{self.path}: {self.text}: {self.change}"

    def __str__(self) -> str:
        """File, line and change."""
        return f"{self.path}:{self.line}: {self.text}: {self.change}"


def mutants(root: Path, path: Path) -> list[Mutant]:
    """All mutants of a file.

    Left out is what has no meaning when the program runs, or none that a test should see: annotations, docstrings and
    other texts (names of fields, messages), `__slots__`, blocks for type checkers, and assertions, which tell mypy what
    is known.
    """
    source = path.read_bytes()
    lines, starts = source.splitlines(keepends=True), [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    found = []
    for node, kind, after in _changes(ast.parse(source)):
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start, stop = starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset
        text = lines[node.lineno - 1].decode().strip()
        place = str(path.relative_to(root)), node.lineno, text, node.end_lineno
        found.append(Mutant(*place, kind, source[start:stop].decode(), after, start, stop))
    return found


def _changes(node: ast.AST) -> Iterator[tuple[ast.expr | ast.stmt, str, str]]:
    """Each node that can be changed, how, and the text that takes its place."""
    for child in _children(node):
        match child:
            case ast.Compare(left, [operator], [right]) if type(operator) in _COMPARE:
                new = ast.Compare(left, [_COMPARE[type(operator)]()], [right])
                yield child, "comparison", f"({ast.unparse(new)})"
            case ast.BinOp(left, operator, right) if type(operator) in _ARITHMETIC and not _is_text(left, right):
                yield child, "arithmetic", f"({ast.unparse(ast.BinOp(left, _ARITHMETIC[type(operator)](), right))})"
            case ast.BoolOp(operator, values):
                other = ast.Or() if isinstance(operator, ast.And) else ast.And()
                yield child, "and/or", f"({ast.unparse(ast.BoolOp(other, values))})"
            case ast.UnaryOp(ast.USub() | ast.Not() | ast.Invert(), operand):
                yield child, "sign", f"({ast.unparse(operand)})"
            case ast.Constant(bool(value)):
                yield child, "constant", str(not value)
            case ast.Constant(int(value) | float(value)):
                yield child, "constant", f"({value + 1!r})"
                yield child, "constant", f"({value - 1!r})"
            case ast.If(test) | ast.IfExp(test) | ast.While(test):
                yield test, "condition", f"(not ({ast.unparse(test)}))"
            case ast.Return(ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
                yield value, "return", "None"
            case ast.Raise() | ast.AugAssign() | ast.Continue() | ast.Break():
                yield child, "dropped", "pass"
            case ast.Expr(value) if not isinstance(value, ast.Constant | ast.Yield | ast.YieldFrom):
                yield child, "dropped", "pass"
            case ast.Assign([ast.Subscript() | ast.Attribute()], _):
                yield child, "dropped", "pass"
        yield from _changes(child)


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of a node that have a meaning when the program runs."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "type_params"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or isinstance(child, ast.Assert | ast.JoinedStr):
                continue
            if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
                continue
            if isinstance(child, ast.Assign) and ast.unparse(child.targets[0]) in ("__slots__", "__all__"):
                continue
            if (
                isinstance(child, ast.Subscript)
                and name == "value"
                and isinstance(node, ast.Assign)
                and _is_type(child)
            ):
                continue
            yield child


def _is_type(node: ast.Subscript) -> bool:
    """Whether an assigned subscript is an alias of a type, such as `Callable[[int], None]`."""
    return isinstance(node.value, ast.Name) and node.value.id in (
        "Callable",
        "Literal",
        "Float",
        "Int",
        "Bool",
        "Union",
    )


def _is_text(*nodes: ast.expr) -> bool:
    """Whether one of the operands is a text, which cannot be subtracted."""
    return any(
        isinstance(n, ast.JoinedStr) or (isinstance(n, ast.Constant) and isinstance(n.value, str)) for n in nodes
    )


def patch(mutant: Mutant, file: Path) -> bool:
    """Give the functions of a loaded module the code of a mutant, in place; False if it changes what runs at import.

    `file`: where the module was loaded from, which holds the mutant already.
    """
    source = file.read_bytes()
    before = source[: mutant.start] + mutant.before.encode() + source[mutant.start + len(mutant.after.encode()) :]
    name = _function_around(ast.parse(before), mutant.line, mutant.last)
    if name is None:
        return False
    new = [code for code in _codes(compile(source, str(file), "exec", dont_inherit=True)) if code.co_qualname == name]
    old = [
        function
        for function in gc.get_objects()
        if type(function) is FunctionType  # others may only pretend, and warn
        and function.__code__.co_filename == str(file)
        and function.__code__.co_qualname == name
    ]
    if len(new) != 1 or not old or any(f.__code__.co_freevars != new[0].co_freevars for f in old):
        return False
    for function in old:
        function.__code__ = new[0]
    return True


def _function_around(tree: ast.Module | ast.ClassDef, first: int, last: int, prefix: str = "") -> str | None:
    """The function of a module or class whose body holds these lines, and not its head, which runs at import."""
    for node in tree.body:
        if node.lineno <= first and last <= (node.end_lineno or 0):
            if isinstance(node, ast.ClassDef):
                return _function_around(node, first, last, f"{prefix}{node.name}.")
            if isinstance(node, ast.FunctionDef) and node.body[0].lineno <= first and node.body[0].lineno > node.lineno:
                return prefix + node.name
    return None


def _codes(code: CodeType) -> Iterator[CodeType]:
    """All code objects within one."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)
