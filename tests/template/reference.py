"""Rendering as transformers does it, for the expected results of the tests: the real jinja2, the real set-up.

The environment comes from transformers (tested with 5.23.0, jinja2 3.1.6). Only strftime_now is replaced, so that it
sees the dialogue's own date.
"""

import datetime

from transformers.utils.chat_template_utils import _compile_jinja_template


def render(source, variables):
    """The text, or None and the error's text where the template fails."""
    variables = dict(variables)
    now = variables.pop("now", None)
    variables.setdefault("tools", None)
    variables.setdefault("documents", None)
    variables.setdefault("add_generation_prompt", False)
    try:
        template = _compile_jinja_template(source)
        if now:
            day = datetime.datetime.strptime(now, "%Y-%m-%d")
            variables["strftime_now"] = day.strftime
        return template.render(**variables), None
    except Exception as e:  # every kind of failure is a refusal
        return None, f"{type(e).__name__}: {e}"
