"""Validates mapping and site files with a JSON Schema validator and a YAML 1.2 reader that we did not write.

usage: schemas.py MAPPING_SCHEMA SITE_SCHEMA FILE…      YAML files, or Markdown files with YAML in them

Each file has to be valid; with a key that is none anywhere in it, or a word that is none, it must not be.
"""

import copy
import json
import pathlib
import re
import sys

import fastjsonschema
from ruamel.yaml import YAML

# Maps with keys and values of any kind.
FREE = {"map", "expect", "write", "refuses", "params", "when"}


def word(key):
    return str(key).lower() if isinstance(key, bool) else str(key)


def plain(value):
    """As JSON has it: keys are texts."""
    if isinstance(value, dict):
        return {word(key): plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def texts(path):
    """The documents of a file, and what they are called."""
    text = pathlib.Path(path).read_text(encoding="utf-8")
    found = re.findall(r"```yaml\n(.*?)```", text, re.S) if path.endswith(".md") else [text]
    for number, text in enumerate(found, 1):
        yield f"{path} ({number})", text


def documents(path):
    for name, text in texts(path):
        yield name, plain(YAML(typ="safe", pure=True).load(text))


def maps(value, place=()):
    if isinstance(value, dict):
        yield place
        for key, item in value.items():
            yield from maps(item, (*place, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from maps(item, (*place, number))


def at(value, place):
    for step in place:
        value = value[step]
    return value


def refused(validate, document, place, key, value):
    changed = copy.deepcopy(document)
    at(changed, place)[key] = value
    try:
        validate(changed)
    except fastjsonschema.JsonSchemaValueException:
        return True
    return False


def is_body(place):
    """Whether it is in a body of a message, or names topics or paths: those are the device's."""
    for number, step in enumerate(place):
        if step in ("messages", "resources", "replies", "sends", "chars", "frames", "attributes", "fields"):
            return True
        if step in ("service_data", "manufacturer") and "adverts" in place[:number]:
            return True
        # What a command sends is a list of steps.
        if step == "send" and not (number > 1 and place[number - 2] == "commands"):
            return True
    return False


def is_free(document, place):
    if is_body(place):
        return True
    last = place[-1] if place else ""
    in_tests = "tests" in place
    if last == "write" and not in_tests:
        return False
    if last == "params" and not in_tests and "site" not in document:
        return False
    return last in FREE or (len(place) > 1 and place[-2] in ("command", "args"))


def main():
    validators = [fastjsonschema.compile(json.loads(pathlib.Path(p).read_text())) for p in sys.argv[1:3]]
    count = planted = 0
    for path in sys.argv[3:]:
        for name, document in documents(path):
            validate = validators["site" in document]
            try:
                validate(document)
            except fastjsonschema.JsonSchemaValueException as error:
                sys.exit(f"{name}: {error}")
            count += 1
            for place in maps(document):
                if is_free(document, place):
                    continue
                if not refused(validate, document, place, "unknwon", 1):
                    sys.exit(f"{name}: an unknown key in {place} is taken")
                planted += 1
            for key, capability in document.get("capabilities", {}).items():
                for word, wrong in (("unit", "KWh"), ("type", "Volts"), ("class", "Sensor")):
                    if capability and word in capability:
                        if not refused(validate, document, ("capabilities", key), word, wrong):
                            sys.exit(f"{name}: {key}: {word}: {wrong} is taken")
                        planted += 1
    print(f"ok {count} {planted}")


if __name__ == "__main__":
    main()
