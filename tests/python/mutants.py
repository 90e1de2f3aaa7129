"""Changes mapping and site files in one place each, and tells of each mutant what a JSON Schema validator says.

usage: mutants.py MAPPING_SCHEMA SITE_SCHEMA FILE…      YAML files, or Markdown files with YAML in them

Each kind of place is changed in every way once, in the smallest file that has it. Prints a line of JSON for each mutant:
file, place and change, its text as YAML, and whether the schema takes it.
"""

import copy
import decimal
import json
import pathlib
import re
import sys

import fastjsonschema
from ruamel.yaml import YAML

from schemas import is_free, plain, texts

HUGE = 10**12
# So many places of one kind have had every change that there is.
ENOUGH = 6
TABLES = {"input", "holding", "coil", "discrete"}
# Maps whose keys the file chooses: what is below them is alike.
NAMED = {"capabilities", "nodes", "commands", "events", "devices", "buses", "params", "poll", "values", "args", "gives"}

CLASSES = [f"{kind}{way}" for kind in ("Binary", "Level", "Enum") for way in ("Control", "Sensor")]
CLASSES += ["MultiLevelSensor", "BlobSensor"]
# Keys that some map has, where they may have no place.
KEYS = {
    "coil": 5,
    "curve": "lux",
    "topic": "a/b",
    "char": "2a19",
    "says": "A$value",
    "cluster": "on_off",
    "rate": "1s",
    "step": 1,
    "hold": {},
    "monotonic": True,
    "max_registers": {"coil": 5},
    "int": [0, 1],
}

DROPPED = object()


def emit(value, is_address=False):
    """As YAML, on one line. An address that looks like one in 4xxxx notation is meant as it is, so it goes in hexadecimal."""
    if isinstance(value, dict):
        pairs = ((emit(key, is_address), emit(item, key in TABLES)) for key, item in value.items())
        return "{" + ", ".join(f"{key}: {item}" for key, item in pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(emit, value)) + "]"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, int):
        return hex(value) if is_address and 9999 < value < HUGE else str(value)
    if isinstance(value, float):
        return format(decimal.Decimal(repr(value)), "f")
    return json.dumps(value)


def signature(place):
    """Which key of which map it is, without the names that the file chooses and the numbers in lists."""
    steps = []
    for number, step in enumerate(place):
        named = number and place[number - 1] in NAMED
        steps.append("*" if named or not isinstance(step, str) else step)
    return tuple(steps[-2:])


def places(value, place=()):
    yield place
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*place, key))


def at(value, place):
    for step in place:
        value = value[step]
    return value


def changes(place, value):
    """What stands there instead, by name."""
    if place[-1] == "class":
        for word in CLASSES:
            yield word, word
    yield "dropped", DROPPED
    yield "null", None
    yield "empty", ""
    yield "huge", HUGE
    yield "negative", -1
    yield "zero", 0
    yield "word", "unknwon"
    yield "fraction", 0.5
    yield "flag", True
    yield "map", {}
    yield "unknown key", {"unknwon": 1}
    yield "list", []
    yield "in a list", [copy.deepcopy(value)]
    if isinstance(value, str) and re.fullmatch(r"[0-9.]+(ms|s|m|min|h|d)", value):
        yield "zero duration", "0s"
        yield "long duration", "400d"
    if isinstance(value, bool):
        yield "quoted", str(value).lower()
    elif isinstance(value, (int, float)):
        yield "quoted", str(value)
    if isinstance(value, dict):
        yield "unknown key more", {**value, "unknwon": 1}
        for key, more in KEYS.items():
            if key not in value:
                yield f"with {key}", {**value, key: more}


def changed(document, place, value):
    document = copy.deepcopy(document)
    parent = at(document, place[:-1])
    if value is DROPPED:
        del parent[place[-1]]
    else:
        parent[place[-1]] = value
    return document


def valid(validate, document):
    try:
        validate(plain(document))
    except fastjsonschema.JsonSchemaValueException:
        return False
    return True


def mutants(document, seen):
    """Every change of every kind of place that was not tried yet."""
    yield "", "none", document
    for place in places(document):
        # What is the device's is for the checker alone.
        if not place or any(is_free(document, place[:end]) for end in range(len(place))):
            continue
        tried = seen.setdefault(signature(place), {"": 0})
        tried[""] += 1
        if tried[""] > ENOUGH:
            continue
        for name, value in changes(place, at(document, place)):
            if name not in tried:
                tried[name] = value
                yield "/".join(map(str, place)), name, changed(document, place, value)


def main():
    validators = [fastjsonschema.compile(json.loads(pathlib.Path(p).read_text())) for p in sys.argv[1:3]]
    documents = [(name, text) for path in sys.argv[3:] for name, text in texts(path)]
    seen = {}
    for name, text in sorted(documents, key=lambda document: len(document[1])):
        document = YAML(typ="safe", pure=True).load(text)
        for place, change, mutant in mutants(document, seen):
            told = {
                "file": name,
                "place": place,
                "change": change,
                "text": emit(mutant),
                "valid": valid(validators["site" in document], mutant),
            }
            print(json.dumps(told))


main()
