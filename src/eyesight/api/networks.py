"""Networks to look at: their layers as a table, and as a picture.

In: a network's name, a run's folder or a model file. Out: `Summary`, `Drawing`. Nothing is trained or predicted.
"""

from __future__ import annotations

from pathlib import Path

from ..errors import UsageError
from ..models import NETWORKS, network_spec, usual_input
from ..models.diagram import diagram as draw
from ..models.network import NetworkSpec
from ..models.summary import Summary, summarise
from ..report.vector import Drawing
from .runs import load_classifier


def find_network(
    model: str | Path, *, input: tuple[int, int, int] | None = None, classes: int | None = None
) -> tuple[NetworkSpec, tuple[str, ...]]:
    """Return a network, and the names of its classes where it has been trained.

    Args:
        model: a network's name, a run's folder, or a model file.
        input: (H, W, C) of the pictures of a named one; those that it is best known with, where not given.
        classes: number of classes of a named one, in the same way.

    Raises:
        UnknownNameError: no such network.
        UsageError: sizes that do not fit it, or a network of the user's own.
    """
    if str(model) not in NETWORKS and Path(model).exists():
        if input is not None or classes is not None:
            field = "classes" if input is None else "input"
            raise UsageError(f"{model} was trained for its own; leave it out", field=field)
        classifier = load_classifier(model)
        if not isinstance(classifier.spec, NetworkSpec):
            raise UsageError(f"{model}: its network is {classifier.spec.name}, whose layers only its own code knows")
        return classifier.spec, tuple(classifier.classes)
    usual, many = usual_input(str(model))
    return network_spec(str(model), shape=input or usual, classes=classes or many), ()


def summary(model: str, *, input: tuple[int, int, int], classes: int) -> Summary:
    """Return the layer table of a network.

    Args:
        model: a network's name.
        input: (H, W, C) of the pictures.
        classes: number of classes.

    >>> summary("lenet5", input=(32, 32, 1), classes=10).parameters
    61706
    """
    return summarise(network_spec(model, shape=input, classes=classes))


def diagram(model: str | Path, *, input: tuple[int, int, int] | None = None, classes: int | None = None) -> Drawing:
    """Draw a network: a notebook shows it, and its `save` writes an .svg or .png.

    Args:
        model: a network's name, a run's folder, or a model file.
        input: (H, W, C) of the pictures of a named one; those that it is best known with, where not given.
        classes: number of classes of a named one, in the same way.

    >>> diagram("lenet5").title
    'lenet5: 28×28×1 → 10 classes, 61,706 parameters'
    """
    spec, names = find_network(model, input=input, classes=classes)
    return draw(spec, classes=names)
