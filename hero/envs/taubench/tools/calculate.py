"""Arithmetic as the original's `calculate` has it, without evaluating code."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

CHARACTERS: Final = "0123456789+-*/(). "
LONGEST: Final = 1 << 16
"""Bits of the largest integer: the original computes towers of powers until the machine gives up."""
MOST_WORK: Final = 1 << 27
"""Bits of all integers that the operations of an expression take: many powers cost as much as a tower of them."""
SLOW: Final = 4
"""By how much powers and divisions take longer than products of as many bits, at least."""

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
    """The value of an expression as a float, rounded to 2 decimals; or `Error: ` and what is wrong.

    Raises:
        TypeError: the expression is neither a text nor a list of texts.
    """
    if not all(character in CHARACTERS for character in expression):
        return "Error: invalid characters in expression"
    try:
        if not isinstance(expression, str):
            raise TypeError("eval() arg 1 must be a string, bytes or code object")
        tree = ast.parse(expression.lstrip(" "), "<string>", "eval")
        return str(round(float(_Evaluation().value(tree.body)), 2))
    except Exception as error:  # whatever Python's arithmetic has to complain of is the answer
        return f"Error: {error}"


class _Evaluation:
    """The value of one expression, within `MOST_WORK`."""

    def __init__(self) -> None:
        self._left = MOST_WORK

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
        if isinstance(node, ast.Tuple):  # (), the only one that can be written without a comma
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
            if bits > LONGEST and abs(left) > 1 and isinstance(operation, ast.Mult | ast.Pow):
                raise OverflowError("int too large to convert to float")
            self._left -= bits if isinstance(operation, ast.Add | ast.Sub | ast.Mult) else SLOW * bits
            if self._left < 0:
                raise OverflowError("the integers are too large to be computed with")
        return BINARY[type(operation)](left, right)
