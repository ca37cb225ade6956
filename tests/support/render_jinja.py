"""The oracle of chat templates: renders them with python3-jinja2, set up the
way such templates are written for.

    render_jinja.py <JOBS

Each line of JOBS is TEMPLATE, VARIABLES.json and OUT, with tabs between.  What
comes out is in OUT; in OUT.refused the error of a template that will not have
it, in OUT.broken that of a render that fell over.
"""
import datetime
import json
import sys
import traceback

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


def environment_new():
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, Generation])
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    return environment


def render(environment, template, variables_path):
    """The bytes of one render; jinja2's own errors are refusals."""
    with open(variables_path, encoding="utf-8") as file:
        variables = json.load(file)
    now = datetime.datetime.fromtimestamp(variables.get("now_utc_ns", 0) / 1e9,
                                          datetime.timezone.utc)
    environment.globals["strftime_now"] = now.strftime
    with open(template, encoding="utf-8", newline="") as file:
        source = file.read()
    return environment.from_string(source).render(**variables).encode("utf-8")


def main():
    environment = environment_new()
    for line in sys.stdin:
        template, variables, out = line.rstrip("\n").split("\t")
        try:
            data, suffix = render(environment, template, variables), ""
        except jinja2.exceptions.TemplateError as error:
            data, suffix = f"{type(error).__name__}: {error}\n".encode("utf-8"), ".refused"
        except Exception:  # the oracle itself broke on it
            data, suffix = traceback.format_exc().encode("utf-8"), ".broken"
        with open(out + suffix, "wb") as file:
            file.write(data)


main()
