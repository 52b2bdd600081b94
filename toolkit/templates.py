"""Template and values → text of a Dockerfile. Pure; each template is compiled once.

A value reaches the text only through `{{ }}`, and there only when it is one plain word: it can neither
end its line nor become a shell word of its own.
"""

import functools
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


@functools.lru_cache(maxsize=4096)
def is_word(text: str) -> bool:
    """Whether `text` can stand in a Dockerfile without becoming more than it is."""
    return _WORD.fullmatch(text) is not None


class Templates:
    """The templates below dockerfiles/, by their path there."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts
        # Every word that may be the name of a value.
        self._mentioned = frozenset(re.findall(r"\w+", " ".join(texts.values())))
        self._text = functools.lru_cache(maxsize=1024)(self._render)
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

    def mentions(self, value: str) -> bool:
        """Whether a template may use the value of this name."""
        return value in self._mentioned

    def render(self, name: str, values: Mapping[str, object], *, asked_at: str, subject: str) -> str:
        """The text of template `name`, which `asked_at` (FILE:LINE) names for the unit `subject`.

        Raises UsageError that names the template and line of a mistake.
        """
        try:
            return self._text(name, tuple([each for each in values.items() if each[0] in self._mentioned]))
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

    def _render(self, name: str, values: tuple[tuple[str, object], ...]) -> str:
        """What differs between units in none of these values is one text: it is rendered once."""
        return self._environment.get_template(name).render(values)


class UnsafeValue(ValueError):
    """A value would be more than one word of a Dockerfile."""


# The text of a macro, whose values were judged when it ran; what StrictUndefined raises for.
_TOLD_ELSEWHERE = (Markup, jinja2.Undefined)


def _one_word(value: object) -> object:
    if isinstance(value, _TOLD_ELSEWHERE):
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
