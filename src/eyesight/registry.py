"""Names that stand for code, loaded only when asked for.

In: `name → "module:attribute"` pairs, and plug-ins' entry points. Out: the object behind a name. It does not know
what the objects are; nothing is imported before `load`, so listing names stays cheap.
"""

from __future__ import annotations

import importlib
import operator
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from typing import Any

from .errors import UnknownNameError, UsageError


class Registry(Mapping[str, str]):
    """A read-mostly mapping of names to `"module:attribute"` targets.

    Args:
        kind: what the names stand for, in the singular ("network"); used in error messages.
        entries: the built-in names.
        group: entry-point group through which installed plug-ins add names, for example "eyesight.models".

    >>> Registry("thing", {"join": "os.path:join"}).load("join")("a", "b")
    'a/b'
    """

    def __init__(self, kind: str, entries: Mapping[str, str], *, group: str | None = None) -> None:
        self.kind = kind
        self._entries = dict(entries)
        self._group = group

    def add(self, name: str, target: str) -> None:
        """Register `name` for `target` ("module:attribute"); a name that is taken is refused."""
        if name in self._entries and self._entries[name] != target:
            raise UsageError(f"{self.kind} {name!r} is registered twice: {self._entries[name]} and {target}")
        self._entries[name] = target

    def _plug_ins(self) -> None:
        """Add what installed plug-ins offer; once, at the first look-up."""
        for entry in entry_points(group=self._group) if self._group else ():
            self.add(entry.name, f"{entry.module}:{entry.attr}")
        self._group = None

    def __getitem__(self, name: str) -> str:
        self._plug_ins()
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        self._plug_ins()
        return iter(self._entries)

    def __len__(self) -> int:
        self._plug_ins()
        return len(self._entries)

    def check(self, name: str, *, field: str | None = None) -> str:
        """Return `name` if it is registered; otherwise raise `UnknownNameError` of `field` with the nearest name."""
        if name not in self:
            raise UnknownNameError(self.kind, name, self, field=field)
        return name

    def load(self, name: str) -> Any:
        """Import and return what `name` stands for.

        Raises:
            UnknownNameError: no such name; the nearest one is suggested.
            UsageError: a plug-in's name stands for something that cannot be imported.
        """
        target = self[self.check(name)]
        module, _, attribute = target.partition(":")
        try:
            return operator.attrgetter(attribute)(importlib.import_module(module))
        except (ImportError, AttributeError) as error:
            raise UsageError(f"{self.kind} {name!r}: cannot load {target} ({error})") from error
