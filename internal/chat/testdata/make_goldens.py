#!/usr/bin/env python3
"""Writes goldens.json: what Python's jinja2 makes of the templates and expressions in this folder.

Made with Python 3.11 and jinja2 3.1.6, from this folder:

    pip install jinja2==3.1.6
    python make_goldens.py > goldens.json

The environment is set up as transformers does for chat templates (in its utils/chat_template_utils.py).
With folders of other templates as arguments it renders those instead, for the comparison of TestTemplatesOf:

    python make_goldens.py .../llama.cpp/models/templates > others.json
"""

import datetime
import glob
import json
import os
import sys

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

NOW = datetime.datetime(2024, 7, 6, 13, 4, 5)
VARIABLES = {"bos_token": "<s>", "eos_token": "</s>", "documents": None}


class Generation(jinja2.ext.Extension):
    """{% generation %} marks what a model is trained on; it prints its body."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("body"), [], [], body).set_lineno(line)

    def body(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment():
    env = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = NOW.strftime
    return env


def render(source, **variables):
    try:
        return {"text": environment().from_string(source).render(**VARIABLES, **variables)}
    except jinja2.exceptions.TemplateError as e:
        if type(e) is jinja2.exceptions.TemplateError:
            return {"raised": str(e)}
        return {"error": f"{type(e).__name__}: {e}"}
    except Exception as e:
        return {"error": f"{type(e).__name__}: {e}"}


def render_files(folder, conversations):
    out = {}
    for path in sorted(glob.glob(os.path.join(folder, "*.jinja"))):
        with open(path, newline="") as f:
            source = f.read()
        out[os.path.basename(path)] = {
            c["name"]: render(
                source,
                messages=c["messages"],
                tools=c.get("tools"),
                add_generation_prompt=c["add_generation_prompt"],
            )
            for c in conversations
        }
    return out


def main():
    with open("conversations.json") as f:
        conversations = json.load(f)
    out = {}
    for folder in sys.argv[1:] or ["templates"]:
        out.update(render_files(folder, conversations))
    goldens = {"jinja2": jinja2.__version__, "templates": out}
    if len(sys.argv) == 1:
        with open("expressions.json") as f:
            expressions = json.load(f)
        context = dict(messages=conversations[0]["messages"], tools=None, add_generation_prompt=True)
        context.update(a={"b": 1, "c": [1, 2, 3]}, text="Some text, caf\u00e9.")
        goldens["expressions"] = [{"source": s, **render(s, **context)} for s in expressions]
    json.dump(goldens, sys.stdout, indent=1, ensure_ascii=False)
    print()


if __name__ == "__main__":
    main()
