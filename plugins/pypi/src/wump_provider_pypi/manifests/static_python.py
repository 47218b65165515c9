"""Values that stand in a Python file, worked out without running any of it.

What is literal, or put together from literals by names, sums, formats and the methods of lists, is a value; anything
else is a `Gap` with its line. Branches are not decided: what one of them adds is there. Steps, sizes and depths are
bounded.
"""

import ast
from collections.abc import Callable, Iterator
from typing import Any

from wump_provider_pypi.manifests.located import locate

MAX_STEPS = 50_000
MAX_DEPTH = 60
MAX_ITEMS = 20_000
MAX_TEXT = 100_000

_TEXT_METHODS: dict[str, Callable[..., Any]] = {
    **{name: getattr(str, name) for name in ("strip", "lstrip", "rstrip", "lower", "upper", "replace")},
    **{name: getattr(str, name) for name in ("split", "splitlines")},
}
_COPIES = frozenset({"list", "tuple", "set", "sorted", "frozenset"})


class Gap:
    """A value that only a run could tell."""

    def __init__(self, line: int) -> None:
        self.line = line


class Scope:
    """All that is assigned to names anywhere in a file, in its order."""

    def __init__(self, tree: ast.AST) -> None:
        self._assigned: dict[str, list[tuple[str, ast.expr | None, ast.expr]]] = {}
        self._functions: dict[str, ast.expr] = {}
        self._steps = 0
        self._open: dict[str, Any] = {}  # what is being worked out, as far as it is known
        for node in ast.walk(tree):
            self._note(node)

    def evaluate(self, node: ast.expr, depth: int = 0) -> Any:
        """A `Located` text, a list, a dict, a bool, a number or None; a `Gap` for all else."""
        self._steps += 1
        if self._steps > MAX_STEPS or depth > MAX_DEPTH:
            return Gap(node.lineno)
        handler = _HANDLERS.get(type(node))
        return handler(self, node, depth + 1) if handler else Gap(node.lineno)

    def _note(self, node: ast.AST) -> None:
        """Keep what one statement says of a name."""
        if isinstance(node, ast.Assign):
            for target in node.targets:
                self._note_target(target, node.value)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            self._note_target(node.target, node.value)
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name) and isinstance(node.op, ast.Add):
            self._assigned.setdefault(node.target.id, []).append(("extend", None, node.value))
        elif isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add):
            self._note_target(node.target, node.value, "extend")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and len(node.args) == 1:
            if node.func.attr in ("append", "extend", "update", "add"):
                self._note_target(node.func.value, node.args[0], node.func.attr)
        elif isinstance(node, ast.FunctionDef):
            returned = [inner.value for inner in ast.walk(node) if isinstance(inner, ast.Return)]
            if len(returned) == 1 and returned[0] is not None and not node.args.args:
                self._functions[node.name] = returned[0]

    def _note_target(self, target: ast.expr, value: ast.expr, how: str = "set") -> None:
        if isinstance(target, ast.Name):
            self._assigned.setdefault(target.id, []).append((how, None, value))
        elif isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
            kind = "set item" if how == "set" else "extend item"
            self._assigned.setdefault(target.value.id, []).append((kind, target.slice, value))

    def _constant(self, node: ast.Constant, depth: int) -> Any:
        return locate(node.value, node.lineno) if isinstance(node.value, str) else node.value

    def _list(self, node: ast.List | ast.Tuple | ast.Set, depth: int) -> list[Any]:
        items: list[Any] = []
        for element in node.elts:
            if isinstance(element, ast.Starred):
                items.extend(_as_list(self.evaluate(element.value, depth)))
            else:
                items.append(self.evaluate(element, depth))
        return items[:MAX_ITEMS]

    def _dict(self, node: ast.Dict, depth: int) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for key_node, value_node in zip(node.keys, node.values, strict=True):
            value = self.evaluate(value_node, depth)
            key = None if key_node is None else self.evaluate(key_node, depth)
            if isinstance(key, str):
                found[key] = value
            elif key_node is None and isinstance(value, dict):
                found |= value
            else:
                found[f"\0{value_node.lineno}"] = Gap(value_node.lineno)
        return found

    def _sum(self, node: ast.BinOp, depth: int) -> Any:
        left, right = self.evaluate(node.left, depth), self.evaluate(node.right, depth)
        if isinstance(node.op, ast.Mod):
            return _format(left, right, node.lineno)
        if not isinstance(node.op, ast.Add):
            return Gap(node.lineno)
        if isinstance(left, str) and isinstance(right, str) and len(left) + len(right) <= MAX_TEXT:
            return locate(left + right, getattr(left, "line", node.lineno))
        if isinstance(left, list) or isinstance(right, list):
            return (_as_list(left) + _as_list(right))[:MAX_ITEMS]
        return Gap(node.lineno)

    def _name(self, node: ast.Name, depth: int) -> Any:
        if node.id in self._open:
            known = self._open[node.id]
            return Gap(node.lineno) if known is None else known
        if node.id not in self._assigned:
            return Gap(node.lineno)
        value: Any = None
        for how, key, expression in self._assigned[node.id]:
            self._open[node.id] = value
            value = self._apply(value, how, key, expression, depth)
        self._open.pop(node.id, None)
        return value

    def _apply(self, value: Any, how: str, key: ast.expr | None, expression: ast.expr, depth: int) -> Any:
        """One assignment after the others. Lists only ever grow: which branch is taken is not known."""
        new = self.evaluate(expression, depth)
        if key is not None:
            name = self.evaluate(key, depth)
            entries = dict(value) if isinstance(value, dict) else {}
            if isinstance(name, str):
                old = entries.get(name)
                entries[name] = _as_list(old) + _as_list(new) if isinstance(old, list) else new
            return entries
        if how == "update" and isinstance(new, dict):
            return (value | new) if isinstance(value, dict) else new
        if how in ("append", "add"):
            new = [new]
        if isinstance(value, list) and value is not new:
            return (value + [item for item in _as_list(new) if item not in value])[:MAX_ITEMS]
        if isinstance(value, dict) and isinstance(new, dict):
            return value | new
        return value if isinstance(new, Gap) and isinstance(value, str) else new

    def _call(self, node: ast.Call, depth: int) -> Any:
        if isinstance(node.func, ast.Name):
            if node.func.id in _COPIES and len(node.args) == 1:
                return _as_list(self.evaluate(node.args[0], depth))
            if node.func.id == "dict" and not node.args:
                return {item.arg: self.evaluate(item.value, depth) for item in node.keywords if item.arg}
            if node.func.id in self._functions and node.func.id not in self._open:
                self._open[node.func.id] = None
                value = self.evaluate(self._functions[node.func.id], depth)
                self._open.pop(node.func.id, None)
                return value
        elif isinstance(node.func, ast.Attribute):
            return self._method(node.func, node, depth)
        return Gap(node.lineno)

    def _method(self, function: ast.Attribute, node: ast.Call, depth: int) -> Any:
        owner = self.evaluate(function.value, depth)
        arguments = [self.evaluate(argument, depth) for argument in node.args]
        if not isinstance(owner, str) or any(isinstance(argument, Gap) for argument in arguments):
            return Gap(node.lineno)
        line = getattr(owner, "line", node.lineno)
        if function.attr == "format" and not node.keywords:
            return _format(owner.replace("%", "%%").replace("{}", "%s"), arguments, line)
        if function.attr == "join" and arguments and isinstance(arguments[0], list):
            parts = [part for part in arguments[0] if isinstance(part, str)]
            return locate(owner.join(parts)[:MAX_TEXT], line)
        method = _TEXT_METHODS.get(function.attr)
        if method is None or not all(isinstance(argument, (str, int)) for argument in arguments) or node.keywords:
            return Gap(node.lineno)
        try:
            result = method(owner, *arguments)
        except (TypeError, ValueError, OverflowError):
            return Gap(node.lineno)
        return [locate(part, line) for part in result] if isinstance(result, list) else locate(result[:MAX_TEXT], line)

    def _subscript(self, node: ast.Subscript, depth: int) -> Any:
        owner, key = self.evaluate(node.value, depth), self.evaluate(node.slice, depth)
        return (
            owner.get(key, Gap(node.lineno)) if isinstance(owner, dict) and isinstance(key, str) else Gap(node.lineno)
        )

    def _either(self, node: ast.IfExp, depth: int) -> Any:
        one, other = self.evaluate(node.body, depth), self.evaluate(node.orelse, depth)
        if isinstance(one, list) and isinstance(other, list):
            return one + other
        return one if isinstance(other, Gap) or not other else other if not one else Gap(node.lineno)

    def _joined(self, node: ast.JoinedStr, depth: int) -> Any:
        parts = [
            self.evaluate(part.value if isinstance(part, ast.FormattedValue) else part, depth) for part in node.values
        ]
        if all(isinstance(part, (str, int)) for part in parts):
            return locate("".join(map(str, parts))[:MAX_TEXT], node.lineno)
        return Gap(node.lineno)


_HANDLERS: dict[type[ast.AST], Callable[[Scope, Any, int], Any]] = {
    ast.Constant: Scope._constant,
    **dict.fromkeys((ast.List, ast.Tuple, ast.Set), Scope._list),
    ast.Dict: Scope._dict,
    ast.BinOp: Scope._sum,
    ast.Name: Scope._name,
    ast.Call: Scope._call,
    ast.Subscript: Scope._subscript,
    ast.IfExp: Scope._either,
    ast.JoinedStr: Scope._joined,
}


def _as_list(value: Any) -> list[Any]:
    """A value as the items that a list would take from it."""
    if isinstance(value, list):
        return value
    return list(value) if isinstance(value, dict) else [] if value is None else [value]


def _format(text: Any, values: Any, line: int) -> Any:
    """Only `%s` and `%d`: other formats can ask for any width."""
    fits = values if isinstance(values, list) else [values]
    plain = isinstance(text, str) and all(isinstance(value, (str, int)) for value in fits)
    if not plain or text.replace("%%", "").replace("%s", "").replace("%d", "").count("%"):
        return Gap(line)
    if len(text) + sum(len(str(value)) for value in fits) > MAX_TEXT:
        return Gap(line)
    try:
        return locate(text % tuple(fits), getattr(text, "line", line))
    except (TypeError, ValueError):
        return Gap(line)


def find_calls(tree: ast.AST, name: str) -> Iterator[ast.Call]:
    """The calls of a function of that name, also of one in a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func
            if getattr(function, "id", None) == name or getattr(function, "attr", None) == name:
                yield node
