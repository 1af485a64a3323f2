"""From the text of a generated file to functions, for the interpreter or for the compiler.

The text is the same for both: what the decorator ``triton.jit`` makes of a function is put aside. The compiler gets
Triton's own object of each function. The interpreter gets a plain function in which assignments turn numbers into
tensors, as Triton's interpreter rewrites them, and conditions are asked for explicitly. Errors show the text's lines,
whether the file could be written or not.
"""

from __future__ import annotations

import ast
import linecache
from collections.abc import Callable
from types import FunctionType
from typing import Any

# The names under which rewritten functions find what turns numbers into tensors and tensors into conditions.
_CONVERSION, _TRUTH = "__to_tensor", "__truth"


def show_lines(text: str, path: str) -> None:
    """Lets tracebacks and ``inspect`` find the text's lines under the path."""
    linecache.cache[path] = (len(text), None, text.splitlines(keepends=True), path)


def compiler_functions(text: str, path: str) -> dict[str, Any]:
    """Triton's objects for the compiler, by name."""
    from triton.runtime.jit import JITFunction

    show_lines(text, path)
    namespace: dict[str, Any] = {"__name__": "generated", "__file__": path}
    exec(compile(text, path, "exec"), namespace)
    functions = {
        name: JITFunction(value.fn)
        for name, value in namespace.items()
        if isinstance(getattr(value, "fn", None), FunctionType)
    }
    namespace.update(functions)
    return functions


def interpreter_functions(
    text: str, path: str, to_tensor: Callable[[Any], Any], truth: Callable[[Any], bool]
) -> dict[str, Callable[..., Any]]:
    """Plain functions for the interpreter, by name. ``truth`` decides conditions."""
    show_lines(text, path)
    tree = ast.fix_missing_locations(_Rewriter().visit(ast.parse(text, path)))
    namespace: dict[str, Any] = {"__name__": "generated", "__file__": path, _CONVERSION: to_tensor, _TRUTH: truth}
    exec(compile(tree, path, "exec"), namespace)
    return {name: value for name, value in namespace.items() if isinstance(value, FunctionType)}


def single_expressions(text: str) -> dict[str, str]:
    """For each function that does nothing but return an expression, that expression as normalised text."""
    return {
        node.name: ast.unparse(only.value)
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef)
        and len(node.body) == 1
        and isinstance(only := node.body[0], ast.Return)
        and only.value is not None
    }


class _Rewriter(ast.NodeTransformer):
    """Drops decorators, converts what is assigned, and asks for what is a condition."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.decorator_list = []
        return self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        self.generic_visit(node)
        node.value = _call(_CONVERSION, node.value)
        return node

    def visit_If(self, node: ast.If) -> ast.AST:
        return self._conditional(node)

    def visit_While(self, node: ast.While) -> ast.AST:
        return self._conditional(node)

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        return self._conditional(node)

    def _conditional(self, node: ast.If | ast.While | ast.IfExp) -> ast.AST:
        self.generic_visit(node)
        node.test = _call(_TRUTH, node.test)
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        self.generic_visit(node)
        node.values = [_call(_TRUTH, value) for value in node.values]
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.Not):
            node.operand = _call(_TRUTH, node.operand)
        return node


def _call(function: str, argument: ast.expr) -> ast.expr:
    return ast.copy_location(ast.Call(ast.Name(function, ast.Load()), [argument], []), argument)
