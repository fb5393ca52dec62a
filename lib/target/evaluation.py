"""What CloudWatch works out of data points: statistics, metric math, and the state of an alarm (CloudWatch user guide, "CloudWatch statistics
definitions", "Alarm evaluation" and "Configuring how CloudWatch alarms treat missing data"). It knows nothing of moto.
"""

import ast
import collections
import math
import operator

# A point is what was put at once. What was put as statistics has no values.
Point = collections.namedtuple("Point", "at values minimum maximum total count unit")
COMPARISONS = {
    "GreaterThanThreshold": (operator.gt, "greater than"), "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "LessThanThreshold": (operator.lt, "less than"), "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}


def statistic(points, name):
    """What a statistic is of points; None where they do not tell it."""
    count = sum(p.count for p in points)
    if not points or not count:
        return None
    plain = {
        "Sum": lambda: sum(p.total for p in points), "SampleCount": lambda: count, "Average": lambda: sum(p.total for p in points) / count,
        "Minimum": lambda: min(p.minimum for p in points), "Maximum": lambda: max(p.maximum for p in points),
    }.get(name)
    if plain:
        return float(plain())
    if not name.startswith("p") or any(p.values is None for p in points):
        return None
    values = sum((p.values for p in points), collections.Counter())
    rest = math.ceil(float(name[1:]) / 100 * count)
    for value in sorted(values):
        rest -= values[value]
        if rest <= 0:
            return value
    return max(values)


def together(expression, found):
    """A metric math expression of metrics and numbers, where all of them have a value."""
    tree = parsed(expression)
    names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    times = [set(found.get(name, {})) for name in names]
    told = {}
    for at in sorted(set.intersection(*times)) if times else []:
        try:
            told[at] = compute(tree, {name: found[name][at] for name in names})
        except ZeroDivisionError:
            pass  # no value, as on AWS
    return told


OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


def parsed(expression):
    try:
        tree = ast.parse(expression, mode="eval")
    except SyntaxError:
        raise ValueError(f"Error in expression '{expression}'") from None
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Expression, ast.BinOp, ast.Name, ast.Load, ast.Constant, *OPERATORS)):
            raise ValueError("The emulator computes + - * / of metrics and numbers only")
    return tree.body


def compute(node, values):
    if isinstance(node, ast.BinOp):
        return OPERATORS[type(node.op)](compute(node.left, values), compute(node.right, values))
    return values[node.id] if isinstance(node, ast.Name) else node.value


def judge(known, periods, enough, missing_is, old):
    """The state that so many periods lead to, of which some are known to breach or not; None where it stays. old is whether the oldest of
    those that are known is as old as it takes data to set the alarm off."""
    missing, bad = periods - len(known), sum(known)
    if bad >= enough:
        return "ALARM", missing
    if known and bad + missing < enough:
        return "OK", missing
    if missing_is == "breaching":
        return "ALARM", missing
    if missing_is == "notBreaching":
        return "OK", missing
    if known and not all(known):
        return "OK", missing
    if missing_is == "ignore":
        return None, missing
    if not known:
        return "INSUFFICIENT_DATA", missing
    return ("ALARM" if old else None), missing
