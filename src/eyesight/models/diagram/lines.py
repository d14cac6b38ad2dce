"""A network as lines of text: the plain stack of its layers, from the picture down.

In: a `NetworkSpec`, or parts of one. Out: lines. Deep networks have one for each stage or run of equal blocks, without
the layers that change numbers one by one.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..network import NetworkSpec
from .parts import ELEMENTWISE, Item, Joint, Part, parts, rows
from .shapes import by, short_names

_LONGEST = 12  # parts; longer networks are told by rows


def stack_lines(spec: NetworkSpec) -> tuple[str, ...]:
    r"""Return what goes in, and for every layer or row what computes it and what comes out.

    >>> from eyesight.models import network_spec
    >>> print(*stack_lines(network_spec("small-cnn-1pool", shape=(8, 8, 1), classes=10))[:5], sep="\n")
    picture      8×8×1
       │  conv 3×3, 32 channels, relu: 320 parameters
    stage1.conv  8×8×32
       │  conv 3×3, 64 channels, relu: 18,496 parameters
    stage2.conv  8×8×64
    """
    items = parts(spec.whole, spec.input)
    chain = [item for item in items if isinstance(item, Part)]
    if len(chain) == len(items) <= _LONGEST:
        names = short_names([part.paths[0] for part in chain])
        named = zip(names, chain, strict=True)
        steps = [(name, by(part.out), part_line(part), part.parameters) for name, part in named]
    else:
        steps = []
        for row in rows(spec):
            many = f"{row.times} × " if row.times > 1 else ""
            name = f"{row.name} {row.blocks}".strip()
            steps.append((name, by(row.out), f"{many}{items_line(row.items, brief=True)}", row.parameters))
    wide = max(len(name) for name in ("picture", *(step[0] for step in steps))) + 2
    lines = [f"{'picture':{wide}}{by(spec.input)}"]
    for name, out, how, parameters in steps:
        counted = f": {parameters:,} parameters" if parameters else ""
        lines += [f"   │  {how}{counted}", f"{name:{wide}}{out}"]
    return tuple(lines)


def part_line(part: Part, *, brief: bool = False) -> str:
    """Say what a part is and what follows it; `brief` leaves out what changes numbers one by one."""
    if brief:
        return f"{part.title}, {part.detail}" if part.detail else part.title
    return ", ".join(text for text in (part.title, part.detail, part.follow) if text)


def items_line(items: Sequence[Item], *, brief: bool = False) -> str:
    """Say what follows what, brackets around what is added to what came in."""
    return " → ".join(
        _joint_line(item, brief) if isinstance(item, Joint) else part_line(item, brief=brief)
        for item in items
        if not brief or isinstance(item, Joint) or not isinstance(item.layer, ELEMENTWISE)
    )


def _joint_line(joint: Joint, brief: bool) -> str:
    around = items_line(joint.shortcut, brief=brief) or "what came in"
    return f"[{items_line(joint.branch, brief=brief)}] + {around}"
