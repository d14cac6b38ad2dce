"""Class names in the files that other programs look for.

In: class names. Out: `labels.txt` (TensorFlow Lite, OpenCV), `index_to_name.json` (TorchServe) and `config.json` with
`id2label` (Hugging Face). It writes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from ..errors import UsageError

FILES = ("labels.txt", "index_to_name.json", "config.json")


def label_files(classes: Sequence[str]) -> dict[str, bytes]:
    """Return what each file holds, by its name.

    Raises:
        UsageError: a class name with a line break, which `labels.txt` cannot hold.
    """
    if odd := [name for name in classes if len(name.splitlines()) != 1]:
        raise UsageError(f"labels.txt has a line for each class; the name {odd[0]!r} does not fit on one")
    by_number = {str(k): name for k, name in enumerate(classes)}
    config = {"id2label": by_number, "label2id": {name: k for k, name in enumerate(classes)}}
    texts = ("".join(f"{name}\n" for name in classes), _json(by_number), _json(config))
    return {name: text.encode(errors="backslashreplace") for name, text in zip(FILES, texts, strict=True)}


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
