"""Holds requests to the API models that botocore ships: a list of {"service", "operation", "parameters"} on standard input, where
service is the id that every SDK has for it; one finding a line on standard output. botocore's own validation looks at types,
required members and the lower bounds of lengths and numbers; the models say more, which is looked at here: upper bounds, patterns
and enumerated values."""

import functools
import json
import re
import sys

from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

loader = Loader()
models = loader.list_available_services("service-2")


def plain(name):
    return re.sub(r"[^a-z0-9]", "", name.lower())


@functools.cache
def model_of(identity):
    """The model of a service by its id. Models are large: the likely one is read first."""
    for name in sorted(models, key=lambda name: (plain(name) != plain(identity), name)):
        model = ServiceModel(loader.load_service_model(name, "service-2"), name)
        if model.metadata.get("serviceId") == identity:
            return model
    raise LookupError(f"botocore has no model of {identity}")


def renamed(shape, value):
    """Go's SDK writes all names with a capital; the models have some without."""
    if shape.type_name == "structure" and isinstance(value, dict):
        names = {member.lower(): member for member in shape.members}
        named = {names.get(key.lower(), key): inner for key, inner in value.items()}
        for member in shape.required_members:
            if shape.members[member].type_name in ("integer", "long", "float", "double"):
                named.setdefault(member, 0)  # what has no pointer in Go is 0 where nothing was noted
        return {key: renamed(shape.members[key], inner) if key in shape.members else inner for key, inner in named.items()}
    if shape.type_name == "list" and isinstance(value, list):
        return [renamed(shape.member, inner) for inner in value]
    if shape.type_name == "map" and isinstance(value, dict):
        return {key: renamed(shape.value, inner) for key, inner in value.items()}
    return value


def faults(shape, value, path):
    if shape.type_name == "structure" and isinstance(value, dict):
        for key, inner in value.items():
            if key in shape.members:
                yield from faults(shape.members[key], inner, f"{path}.{key}")
    elif shape.type_name == "list" and isinstance(value, list):
        yield from bounds(shape, len(value), path, "length")
        for number, inner in enumerate(value):
            yield from faults(shape.member, inner, f"{path}[{number}]")
    elif shape.type_name == "map" and isinstance(value, dict):
        yield from bounds(shape, len(value), path, "length")
        for key, inner in value.items():
            yield from faults(shape.key, key, f"{path} key")
            yield from faults(shape.value, inner, f"{path}[{key}]")
    elif shape.type_name == "string" and isinstance(value, str):
        yield from bounds(shape, len(value), path, "length")
        enumerated = shape.metadata.get("enum")
        if enumerated and value not in enumerated:
            yield "enum", f"{path}: {shown(shape, value)} is not one of {enumerated}"
        pattern = shape._shape_model.get("pattern")
        if pattern:
            try:
                fits = re.search(translated(pattern), value)
            except re.error:
                fits = True  # Python has no words for it
            if not fits:
                yield "pattern", f"{path}: {shown(shape, value)} does not match {pattern}"
    elif shape.type_name in ("integer", "long", "float", "double") and isinstance(value, (int, float)):
        yield from bounds(shape, value, path, "value")


def shown(shape, value):
    return "what is secret" if shape.metadata.get("sensitive") else repr(value)


def bounds(shape, size, path, what):
    for bound, broken in (("min", lambda limit: size < limit), ("max", lambda limit: size > limit)):
        limit = shape._shape_model.get(bound)
        if limit is not None and broken(limit):
            yield bound, f"{path}: {what} {size}, {bound} {limit}"


CLASSES = {
    "Alpha": "A-Za-z", "Alnum": "A-Za-z0-9", "ASCII": r"\x00-\x7f", "Graph": r"\x21-\x7e", "Print": r"\x20-\x7e", "L": r"\w", "N": r"\d",
    "Z": r"\s", "M": "", "S": r"$+<=>^`|~", "P": r"!-/:-@\[-`{-~",
}


def translated(pattern):
    """Java's classes of characters in Python's words, in brackets where they stand alone."""
    parts = re.split(r"(\\.(?:\{\w+\})?|[\[\]])", pattern)
    inside = False
    for i, part in enumerate(parts):
        if part in "[]" and part:
            inside = part == "["
        named = re.fullmatch(r"\\p\{(\w+)\}", part)
        if named:
            parts[i] = CLASSES[named[1]] if inside else f"[{CLASSES[named[1]]}]"
    return "".join(parts)


validator = ParamValidator()
for request in json.load(sys.stdin):
    name = f"{request['service']} {request['operation']}"
    shape = model_of(request["service"]).operation_model(request["operation"]).input_shape
    parameters = renamed(shape, request["parameters"]) if shape else {}
    found = []
    if shape:
        # A token that makes a repeated call harmless is filled in by the SDK after this was noted.
        tokens = {member for member in shape.members if shape.members[member].metadata.get("idempotencyToken")}
        report = validator.validate({**{token: "a" * 36 for token in tokens}, **parameters}, shape)
        found = [("shape", line) for line in report.generate_report().splitlines()] + list(faults(shape, parameters, ""))
    for rule, message in found:
        print(json.dumps({"rule": rule, "resource": request["name"] or name, "message": f"{name} {message}"}))
