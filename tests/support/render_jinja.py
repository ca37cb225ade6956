"""The oracle of chat templates: renders one with python3-jinja2, set up the
way such templates are written for.

    render_jinja.py TEMPLATE VARIABLES.json
"""
import datetime
import json
import sys

import jinja2
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment


class Generation(Extension):
    """{% generation %} marks words for training; it renders its body."""

    tags = {"generation"}

    def parse(self, parser):
        next(parser.stream)
        return parser.parse_statements(["name:endgeneration"], drop_needle=True)


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent,
                      separators=separators, sort_keys=sort_keys)


def main():
    with open(sys.argv[2], encoding="utf-8") as file:
        variables = json.load(file)
    now = datetime.datetime.fromtimestamp(variables.get("now_utc_ns", 0) / 1e9,
                                          datetime.timezone.utc)
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, Generation])
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = now.strftime
    with open(sys.argv[1], encoding="utf-8", newline="") as file:
        source = file.read()
    try:
        text = environment.from_string(source).render(**variables)
    except jinja2.exceptions.TemplateError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        sys.exit(1)
    sys.stdout.buffer.write(text.encode("utf-8"))


main()
