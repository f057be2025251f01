"""Computes the results of the original's tool `calculate`, without evaluating code."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

from hero.envs.taubench.answers import error

ALLOWED: Final = "0123456789+-*/(). "
MAX_BITS: Final = 1 << 16
"""Maximum size of an integer: the original computes towers of powers until the machine gives up."""
MAX_WORK: Final = 1 << 27
"""Maximum number of bits of all operands of an expression: many powers cost as much as a tower of them."""
SLOW: Final = 4
"""Factor by which powers and divisions take longer than products of as many bits, at least."""

BINARY: Final[Mapping[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: operator.pow,
}
UNARY: Final[Mapping[type[ast.unaryop], Callable[[Any], Any]]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}


def calculate(expression: str) -> str:
    """Returns the value of an expression as a float rounded to 2 decimals, or an error.

    Raises:
        TypeError: the expression is neither a str nor a list of str.
    """
    if not all(character in ALLOWED for character in expression):
        return error("invalid characters in expression")
    try:
        if not isinstance(expression, str):
            raise TypeError("eval() arg 1 must be a string, bytes or code object")
        tree = ast.parse(expression.lstrip(" "), "<string>", "eval")
        return str(round(float(_Evaluation().value(tree.body)), 2))
    except Exception as fault:  # whatever Python's arithmetic complains about is the answer
        return error(fault)


class _Evaluation:
    """Computes one expression, within `MAX_WORK`."""

    def __init__(self) -> None:
        self._work_left = MAX_WORK

    def value(self, node: ast.expr) -> Any:
        pending = []
        while isinstance(node, ast.BinOp):  # a sum may have more terms than the stack has room for
            pending.append(node)
            node = node.left
        value = self._single(node)
        for operation in reversed(pending):
            value = self._combined(operation.op, value, self.value(operation.right))
        return value

    def _single(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.UnaryOp):
            return UNARY[type(node.op)](self.value(node.operand))
        if isinstance(node, ast.Tuple):  # (), the only tuple that can be written without a comma
            return ()
        if isinstance(node, ast.Call):  # 2(3), which Python takes for a call
            called, *_ = [self.value(part) for part in (node.func, *node.args)]
            raise TypeError(f"{type(called).__name__!r} object is not callable")
        raise TypeError("the expression is not arithmetic")

    def _combined(self, operation: ast.operator, left: Any, right: Any) -> Any:
        if isinstance(left, int) and isinstance(right, int):
            bits = left.bit_length() + right.bit_length()
            if isinstance(operation, ast.Pow) and abs(left) > 1:
                bits = max(bits, left.bit_length() * right)
            if bits > MAX_BITS and abs(left) > 1 and isinstance(operation, ast.Mult | ast.Pow):
                raise OverflowError("int too large to convert to float")
            self._work_left -= bits if isinstance(operation, ast.Add | ast.Sub | ast.Mult) else SLOW * bits
            if self._work_left < 0:
                raise OverflowError("the integers are too large to be computed with")
        return BINARY[type(operation)](left, right)
