"""Values on the command line that are more than a word or a number.

In: text. Out: the value, or `UsageError` naming the option.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from typing import Any, Literal

import typer
import yaml
from typer.core import TyperCommand

from ..errors import EyesightError, InterruptedRun, UsageError, concerns, naming

_PARAMETERS = {
    "early_stopping": "patience",
    "early_stopping.patience": "patience",
    **{
        f"data.{name}": name
        for name in ("img_size", "resize", "group_by", "strict", "verify", "image_column", "label_column")
    },
}  # of arguments that go by another name


class Command(TyperCommand):
    """A command whose errors name the option that was typed in place of the argument that it became."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        with naming(lambda field: option_name(field, ctx)):
            try:
                return super().invoke(ctx)
            except InterruptedRun as stop:  # Typer would turn it into 130, without a word
                error = EyesightError(str(stop))
                error.exit_code = stop.exit_code
                raise error from stop


def option_name(field: str, context: Any) -> str:
    """Return what was typed for an argument, or for an entry of the configuration that was given with --set."""
    settings = [text.partition("=")[0] for text in context.params.get("settings") or ()]
    if any(concerns(field, key) for key in settings):
        return f"--set: {field}"
    name = _PARAMETERS.get(field, field)
    options = context.command.params
    return next((p.opts[0] for p in options if p.name == name or f"--{name}" in p.opts), field)


def given(context: typer.Context, *, but: Collection[str] = ()) -> list[str]:
    """Return the arguments and options that were typed, as NAME and --name; not those whose parameter is in `but`."""
    typed = [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name not in but
        and (source := context.get_parameter_source(parameter.name)) is not None
        and source.name == "COMMANDLINE"
    ]
    return [name if name.startswith("-") else name.upper() for name in typed]


def parse_duration(text: str, option: str) -> float:
    """Return seconds.

    >>> [parse_duration(text, "--every") for text in ("30s", "2m", "0.5h")]
    [30.0, 120.0, 1800.0]
    """
    from ..training.plan.entries import parse_time

    try:
        return parse_time(text)
    except UsageError as error:
        raise UsageError(f"{option}: {error}") from None


def parse_setting(text: str) -> tuple[str, Any]:
    """Return key and value of KEY=VALUE; the value is read as YAML, so numbers are numbers and null is nothing.

    >>> parse_setting("recipe.lr=1e-3")
    ('recipe.lr', 0.001)
    """
    key, sign, value = text.partition("=")
    if not sign or not re.fullmatch(r"[a-z_]+(\.[a-z_]+)*", key):
        raise UsageError(f"--set: expected KEY=VALUE such as recipe.label_smoothing=0.1; received: {text!r}")
    try:
        return key, float(value) if re.fullmatch(r"[+-]?\d+(\.\d*)?e[+-]?\d+", value) else yaml.safe_load(value)
    except yaml.YAMLError:
        raise UsageError(f"--set: the value of {key} is not YAML; received: {value!r}") from None


def parse_validation(text: str | None) -> float | Literal["test"] | None:
    """Return a share, or "test"."""
    if text is None or text == "test":
        return text  # type: ignore[return-value] # mypy does not narrow to the literal
    try:
        share = float(text)
    except ValueError:
        share = math.nan
    if not 0 <= share <= 0.5:
        raise UsageError(f"--validation: expected a share from 0 to 0.5, or 'test'; received: {text!r}")
    return share


def photo_settings(
    img_size: int | None,
    resize: str | None,
    group_by: str | None,
    image_column: str | None,
    label_column: str | None,
    *,
    strict: bool,
    verify: bool,
) -> dict[str, Any]:
    """Return the entries of a configuration for how photos are read; only those that were asked for."""
    options = {
        "img_size": img_size,
        "resize": resize,
        "group_by": group_by,
        "strict": strict or None,
        "verify": verify or None,
        "image_column": image_column,
        "label_column": label_column,
    }
    return {f"data.{name}": value for name, value in options.items() if value is not None}
