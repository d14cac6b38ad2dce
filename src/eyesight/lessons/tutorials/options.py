"""What every option of a tutorial's training is, in words.

In: its configuration. Out: rows of (option, value, what it does), for a table.
"""

from __future__ import annotations

from ...report.document import count
from ...training.plan.recipe import Config

_OPTIMIZERS = {
    "keras-adam": "Adam as Keras has it (β₁ 0.9, β₂ 0.999, ε 1e-7): each weight moves by its own mean gradient, "
    "divided by how large that usually is",
    "keras-rmsprop": "RMSprop as Keras has it (ρ 0.9, ε 1e-7): each weight moves by its gradient, divided by how "
    "large that usually is",
}
_SAMPLING = {
    "replacement": "each batch is drawn from all training pictures, so some come twice",
    "shuffled": "each picture comes once in an epoch, in an order of its own each time",
}
_NORMALIZE = {"unit": "pixels / 255", "centered": "pixels / 255 − 0.5"}


def explain(config: Config) -> list[tuple[str, str, str]]:
    """Return (option, value, what it does) of everything that the training is told."""
    recipe = config.recipe
    most = "at most " if recipe.early_stopping else ""
    start = "random numbers, smaller where more connections meet; biases start at 0"
    rows = [
        ("normalize", recipe.normalize, _NORMALIZE[recipe.normalize]),
        ("first weights", "Glorot uniform", start),
        ("loss", "cross-entropy", "−log of the probability that the right class was given; lower is better"),
        ("optimizer", recipe.optimizer, _OPTIMIZERS[recipe.optimizer]),
        ("lr", f"{recipe.lr:g}", "learning rate: how far one update moves the weights; the same throughout"),
        ("batch_size", str(recipe.batch_size), "training pictures for one update of the weights"),
        ("updates", str(recipe.updates), "how often the weights are changed")
        if recipe.updates
        else ("epochs", str(recipe.epochs), f"{most}so many times through all training pictures"),
        ("sampling", recipe.sampling, _SAMPLING[recipe.sampling]),
    ]
    if stopping := recipe.early_stopping:
        what = f"stop after {count(stopping.patience, 'epoch')} in a row without a lower loss on the test pictures"
        rows.append(("early_stopping", f"{stopping.monitor}, patience {stopping.patience}", what))
    return [
        *rows,
        ("keep", "last", "the weights after the last update become the model, though earlier ones may be better"),
        ("seed", str(config.seed), "of the first weights and of the order; the same seed repeats the run"),
    ]
