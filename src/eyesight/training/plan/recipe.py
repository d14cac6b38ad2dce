"""The configuration of a run: one frozen, checked object behind flags, file and saved run alike.

In: keyword arguments, `--set` pairs, or a config.yaml. Out: `Config`. An unknown key is refused with the nearest
name. It knows which names exist, not what they do.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidationInfo,
    field_serializer,
    field_validator,
    model_serializer,
    model_validator,
)

from ...data.open import DataConfig
from ...errors import UsageError, nearest_name
from ...models import NETWORKS
from ...pictures.views import Views
from ...run import CONFIG_FORMAT, CONFIG_VERSION
from ..optim.averaging import AVERAGES
from ..optim.optimizers import OPTIMIZERS
from ..optim.schedules import SCHEDULES
from .entries import parse_time

# Each is the common choice for small networks at batch sizes of 32 to 128.
DEFAULT_LR = {"sgd": 0.05, "muon": 0.2}
_OTHER_LR = 1e-3
_NAMES = {"optimizer": OPTIMIZERS, "schedule": SCHEDULES, "averaging": AVERAGES}
PROBE_FIELDS = ("method", "strength", "mirror", "folds")  # of a recipe
_TUNE_FIELDS = ("side", "crop", "colour", "erase", "upper", "layer_decay")
_OF_ALL = ("method", "balance")
_OF_TUNING_TOO = (  # of training by gradient
    "epochs", "updates", "budget", "batch_size", "accumulate", "flip", "optimizer", "lr", "momentum", "weight_decay",
    "schedule", "clip_norm", "label_smoothing",
)  # fmt: skip
_METHODS = {
    "gradient": "training by gradient",
    "probe": "a probe of a pretrained network",
    "tune": "tuning a pretrained network",
}
FOLDS_ARE_FOR = "cross-validation is for photos with a pretrained backbone, of 48 pixels and more"
LENGTHS = ("epochs", "updates", "budget")  # a recipe has one of these


_Share = Annotated[float, Field(gt=0, lt=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ModelConfig(_Part):
    """Which network: a registered name, `auto` for one that fits the pictures, or the class of a user's module."""

    name: str = "auto"
    kind: Literal["registry", "module"] = "registry"
    dense: tuple[Annotated[int, Field(ge=1, le=1 << 16)], ...] | None = (
        None  # widths of the hidden dense layers; its own
    )
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0  # share of the inputs of each dense layer left out in training
    batch_norm: bool = False  # after every convolution, and every dense layer but the last

    @model_validator(mode="after")
    def _known(self) -> ModelConfig:
        if self.kind == "registry" and self.name != "auto":
            NETWORKS.check(self.name, field="model.name")
        if self.kind == "module" and (self.dropout or self.batch_norm or self.dense is not None):
            raise UsageError(
                "dense layers, dropout and batch normalisation are only for registered networks; "
                "put them into your module",
                field="model",
            )
        return self

    @field_validator("dense", mode="before")
    @classmethod
    def _one_width_is_a_list_of_one(cls, value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            return (value,)
        if not isinstance(value, list | tuple | None):
            raise UsageError(f"expected widths such as 128 or [128, 64]; received: {value!r}", field="model.dense")
        return value


class EarlyStopping(_Part):
    """Stop when the validation figure has not improved for `patience` epochs."""

    monitor: Literal["val_loss", "val_accuracy"] = "val_loss"
    patience: Annotated[int, Field(ge=1)] = 3


class Recipe(_Part):
    """How the network is trained. Every default carries its reason."""

    # gradient: the whole network, from first weights; probe: the last layer alone, on a pretrained network's features;
    # tune: then its other layers too, kept where that is better on validation pictures
    method: Literal["gradient", "probe", "tune"] = "gradient"
    strength: Annotated[float, Field(gt=0, le=1e6)] | None = None  # of a probe: cross-validation says, where not given
    mirror: bool | None = None  # of a probe, whether it sees mirror images too: likewise
    folds: Annotated[int, Field(ge=2, le=20)] | None = None  # of a probe's cross-validation; five, where not given
    balance: bool = False  # every class counts as much as another, however many pictures it has
    # of tuning: pixels of a photo while it is learned from; six sevenths of what is seen later, as what is cropped and
    # enlarged looks nearer (Touvron et al., "Fixing the train-test resolution discrepancy", 2019)
    side: Annotated[int, Field(ge=32, le=1024)] | None = None
    crop: Annotated[float, Field(gt=0, le=1)] = 0.35  # smallest share of a photo's area that is seen
    colour: Annotated[float, Field(ge=0, lt=1)] = 0.3  # most by which brightness, contrast and saturation change
    erase: Annotated[float, Field(ge=0, le=1)] = 0.25  # share of photos of which a rectangle is hidden
    upper: Annotated[float, Field(ge=0, le=1)] = 0.2  # share of the training in which the upper stages learn alone
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 0.8  # rate of a stage, as a share of that of the stage above
    # how long: times through the training pictures, or updates, or seconds. Ten is the tutorials' number of epochs
    epochs: Annotated[int, Field(ge=1, le=100_000)] | None = 10
    updates: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    budget: Annotated[float, Field(gt=0, le=31_536_000)] | None = None
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)] = (
        64  # the tutorials take 32; larger batches use the cores better
    )
    # shuffled: every picture once in an epoch; replacement: each batch is drawn from all pictures anew
    sampling: Literal["shuffled", "replacement"] = "shuffled"
    flip: bool = False  # mirror half of the pictures left to right; wrong for digits and letters, so off
    shift: Annotated[int, Field(ge=0, le=1024)] = 0  # move pictures by up to so many pixels each way
    # smaller pictures at first: [[0.5, 0.75]] has three quarters of height and width for the first half of the training
    resolution: tuple[tuple[_Share, _Share], ...] = ()
    # split every batch in so many parts: less memory, the same update; with batch normalisation, which looks at each
    # part on its own, nearly the same
    accumulate: Annotated[int, Field(ge=1)] = 1
    optimizer: str = "adam"  # works untuned
    lr: Annotated[float, Field(gt=0)] = 1e-3
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9  # of sgd and muon
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    schedule: str = "cosine"  # ends at zero, so that the last epoch is about the best one
    clip_norm: Annotated[float, Field(gt=0)] | None = None  # largest norm of the whole gradient
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    normalize: Literal["standard", "unit", "centered"] = "standard"  # per-channel mean 0 and deviation 1; 0–1; −0.5–0.5
    early_stopping: EarlyStopping | None = None
    validate_every: Annotated[int, Field(ge=1)] | None = None  # updates; at the end of every epoch where not given
    validation_sample: Annotated[int, Field(ge=1)] | None = None  # so many at random, with replacement; else all
    averaging: str = "none"  # ema and swa smooth the weights over updates; they help most without a falling schedule
    views: Views = "one"  # what a prediction looks at, each a pass through the network; not so while training
    # which weights become the model: the best on validation pictures, or the last. auto: best, except where the
    # validation pictures are the test set, as choosing on that would flatter the result
    keep: Literal["auto", "best", "last"] = "auto"

    @model_validator(mode="before")
    @classmethod
    def _default_rate(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("lr") is None:
            values = {key: value for key, value in values.items() if key != "lr"}
            optimizer = values.get("optimizer", "adam")
            values["lr"] = DEFAULT_LR.get(optimizer, _OTHER_LR) if isinstance(optimizer, str) else _OTHER_LR
        return values

    @model_validator(mode="before")
    @classmethod
    def _a_probe_by_its_settings(cls, values: Any) -> Any:
        if not isinstance(values, dict) or "method" in values:
            return values
        asked = any(values.get(name) is not None for name in PROBE_FIELDS)
        return values | {"method": "probe"} if asked else values

    @model_validator(mode="before")
    @classmethod
    def _another_length_than_epochs(cls, values: Any) -> Any:
        if not isinstance(values, dict) or "epochs" in values:
            return values
        others = any(values.get(length) is not None for length in LENGTHS)
        return values | {"epochs": None} if others else values

    @model_validator(mode="after")
    def _of_one_method(self) -> Recipe:
        if self.folds is not None and self.method == "gradient":
            raise UsageError(f"{FOLDS_ARE_FOR}; received: training by gradient", field="recipe.folds")
        if self.folds is not None and self.method == "tune":
            raise UsageError(
                "the folds are of a probe alone; a network that is tuned is judged on validation pictures, so leave "
                f"one of the two out; received: {self.folds}",
                field="recipe.folds",
            )
        for name, field in Recipe.model_fields.items():
            value = getattr(self, name)
            if name not in _fields_of(self.method) and value not in (None, field.default):
                owners = [what for method, what in _METHODS.items() if name in _fields_of(method)]
                raise UsageError(f"only for {' and '.join(owners)}; received: {value}", field=f"recipe.{name}")
        if self.method == "tune" and self.optimizer == "muon":
            raise UsageError(
                "cannot tune, as it keeps filters at a size of its own; take adamw", field="recipe.optimizer"
            )
        return self

    @model_serializer(mode="wrap")
    def _only_of_the_method(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what the method does not know."""
        entries: dict[str, Any] = handler(self)
        if not self.balance:
            del entries["balance"]  # as in files written before there was a choice
        return {name: value for name, value in entries.items() if name in _fields_of(self.method)}

    @field_validator("budget", mode="before")
    @classmethod
    def _seconds(cls, value: Any) -> Any:
        if isinstance(value, str) and value.strip()[-1:] in ("s", "m", "h"):
            try:
                return parse_time(value)
            except UsageError as error:
                raise UsageError(str(error), field="recipe.budget") from None
        return value

    @field_validator(*_NAMES)
    @classmethod
    def _known(cls, name: str, entry: ValidationInfo) -> str:
        return _NAMES[entry.field_name or ""].check(name, field=f"recipe.{entry.field_name}")

    @model_validator(mode="after")
    def _parts_fit(self) -> Recipe:
        given = {length: getattr(self, length) for length in LENGTHS if getattr(self, length) is not None}
        if len(given) != 1:
            received = ", ".join(f"{length} {value:g}" for length, value in given.items()) or "none of them"
            raise UsageError(f"expected one of epochs, updates and budget; received: {received}", field="recipe.epochs")
        until = [end for end, _ in self.resolution]
        if until != sorted(set(until)):
            raise UsageError(f"expected progress that rises; received: {until}", field="recipe.resolution")
        return self


def _fields_of(method: str) -> set[str]:
    """Return the entries that a method knows."""
    if method == "probe":
        return {*PROBE_FIELDS, *_OF_ALL}
    if method == "tune":
        return {*PROBE_FIELDS, *_OF_ALL, *_TUNE_FIELDS, *_OF_TUNING_TOO} - {"folds"}
    return set(Recipe.model_fields) - {*PROBE_FIELDS, *_TUNE_FIELDS} | {*_OF_ALL}


Threads = int | Literal["auto"] | tuple[tuple[int, int], ...]

_MOST_THREADS = 1024


class Machine(_Part):
    """Where and how precisely the run computes; `auto` is replaced by what was found when the run starts."""

    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    threads: Threads = "auto"  # a number; or as another run chose them: (update from 0, number) of every change
    deterministic: bool = False  # on a GPU: slower kernels whose results repeat bit for bit; a CPU's always do

    @field_validator("threads", mode="plain")
    @classmethod
    def _known_threads(cls, value: object) -> Threads:
        if value in (None, "auto"):  # earlier files say null
            return "auto"
        if isinstance(value, str) and value.isdecimal():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _MOST_THREADS:
            return value
        if isinstance(value, list | tuple) and value:
            with contextlib.suppress(TypeError, ValueError):
                changes = tuple((int(step), int(count)) for step, count in value)
                steps = [step for step, _ in changes]
                rising = steps[0] == 0 and steps == sorted(set(steps))
                if rising and all(1 <= count <= _MOST_THREADS for _, count in changes):
                    return changes
        expected = f"expected auto, or a number from 1 to {_MOST_THREADS}"
        raise UsageError(f"{expected}; received: {value!r}", field="machine.threads")

    @field_serializer("threads")
    def _plain_threads(self, value: Threads) -> int | str | list[list[int]]:
        return [list(change) for change in value] if isinstance(value, tuple) else value


class Config(_Part):
    """Everything that repeats a run: the contents of config.yaml."""

    format: Literal["eyesight-config"] = CONFIG_FORMAT
    version: Literal[1] = CONFIG_VERSION
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    recipe: Recipe = Recipe()
    machine: Machine = Machine()
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] = 0


def parse_config(values: Mapping[str, Any], source: str = "") -> Config:
    """Return the checked configuration.

    Args:
        values: the nested entries; those left out get their defaults.
        source: the file they came from, for messages.

    Raises:
        UsageError: with the field, what was expected, and what was received.
    """
    try:
        return Config.model_validate(dict(values))
    except (ValidationError, UsageError) as error:
        problem = error if isinstance(error, UsageError) else _first_problem(error)
        raise UsageError(f"{source}: {problem}") if source else problem from None


def _first_problem(error: ValidationError) -> UsageError:
    problem = error.errors()[0]
    path = [str(part) for part in problem["loc"]]
    if path[:2] == ["data", "validation"]:  # of two types; pydantic names the one that it tried
        path, expected = path[:2], 'expected a share from 0 to 0.5, or "test"'
    elif problem["type"] == "extra_forbidden":
        return UsageError("unknown key" + _suggestion(path), field=".".join(path))
    else:
        expected = "should be a mapping" if problem["type"] == "model_type" else problem["msg"].removeprefix("Input ")
    return UsageError(f"{expected}; received: {problem['input']!r}", field=".".join(path))


def _suggestion(path: list[str]) -> str:
    """Return the nearest known key in place of the unknown one at the end of `path`."""
    part: type[BaseModel] = Config
    for name in path[:-1]:
        annotation = part.model_fields[name].annotation
        options = [annotation, *getattr(annotation, "__args__", ())]
        part = next(o for o in options if isinstance(o, type) and issubclass(o, BaseModel))
    nearest = nearest_name(path[-1], part.model_fields)
    return f"; did you mean {nearest!r}?" if nearest else f"; known: {', '.join(part.model_fields)}"
