"""Reads a JSON list of payloads from standard input; prints a list with every payload's errors by the schema of its argument."""

import json
import sys

import jsonschema

with open(sys.argv[1], encoding="utf-8") as file:
    schema = json.load(file)
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
errors = [[f"{error.json_path}: {error.message}" for error in validator.iter_errors(payload)] for payload in json.load(sys.stdin)]
json.dump(errors, sys.stdout)
