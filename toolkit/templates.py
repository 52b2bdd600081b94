"""Template and values → text of a Dockerfile. Pure; each template is compiled once.

A value reaches the text only through `{{ }}`, and there only when it is one plain word: it can neither
end its line nor become a shell word of its own.
"""

import re
from collections.abc import Mapping

import jinja2
from markupsafe import Markup

from toolkit.errors import UsageError

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+=-]*")

# What the expressions of a template can raise; RecursionError where one includes itself.
_MISTAKES = (
    jinja2.TemplateError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError,
)  # fmt: skip


def is_word(text: str) -> bool:
    """Whether `text` can stand in a Dockerfile without becoming more than it is."""
    return _WORD.fullmatch(text) is not None


class Templates:
    """The templates below dockerfiles/, by their path there."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts
        self._environment = jinja2.Environment(
            # The name as file name: it is what a traceback says.
            loader=jinja2.FunctionLoader(lambda name: (texts[name], name, None) if name in texts else None),
            undefined=jinja2.StrictUndefined,
            autoescape=True,  # macros come back as Markup, so that _one_word sees values only
            finalize=_one_word,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )

    def render(self, name: str, values: Mapping[str, str | int], *, asked_at: str, subject: str) -> str:
        """The text of template `name`, which `asked_at` (FILE:LINE) names for the unit `subject`.

        Raises UsageError that names the template and line of a mistake.
        """
        try:
            return self._environment.get_template(name).render(values)
        except jinja2.TemplateNotFound as error:
            user = asked_at if error.name == name else f"dockerfiles/{_place(error, name)}"
            raise UsageError(
                f"{user}: template {error.name!r} is not in dockerfiles/",
                remedy=f"There are: {', '.join(sorted(self._texts))}",
            ) from error
        except jinja2.TemplateSyntaxError as error:
            raise UsageError(
                f"dockerfiles/{error.name or name}:{error.lineno}: {error.message}",
                remedy="Mend the template; nothing was built.",
            ) from error
        except _MISTAKES as error:
            raise UsageError(
                f"dockerfiles/{_place(error, name)}: {error}",
                remedy=f"The template was rendered for {subject}; nothing was built.",
            ) from error


class UnsafeValue(ValueError):
    """A value would be more than one word of a Dockerfile."""


def _one_word(value: object) -> object:
    if isinstance(value, Markup | jinja2.Undefined):
        return value
    if not is_word(str(value)):
        raise UnsafeValue(f"the value {str(value)!r} is not one plain word; it cannot stand in a Dockerfile")
    return value


def _place(error: BaseException, name: str) -> str:
    """TEMPLATE:LINE of the innermost template frame; Jinja rewrites tracebacks to template lines."""
    place = name
    trace = error.__traceback__
    while trace is not None:
        if "__jinja_exception__" in trace.tb_frame.f_globals:
            place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
