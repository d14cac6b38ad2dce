"""eyesight among scikit-learn's estimators: a classifier of pictures, and the features of a pretrained network.

In: pictures in any form that people have them (see `estimator_input`), labels of any kind. Out: `ImageClassifier` and
`PhotoFeatures`, which work in `Pipeline`, `GridSearchCV`, `cross_val_score` and in processes of joblib.
"""

from __future__ import annotations

import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from ..backbones import BACKBONES, DEFAULT_BACKBONE
from ..classifier import Classifier
from ..data.dataset import from_arrays
from ..errors import InterruptedRun, UsageError
from ..pictures.preprocess import Pixels
from ..training.features import Backbone, open_backbone
from ..training.features import embed as compute
from .estimator_input import Given, Images, TableReading, fitted, read_all, stored_side
from .training import check_backbone, train

_SMALLEST = 6  # pixels: below it there is nothing to convolve, and a network of dense layers is taken
Resize = Literal["crop", "pad", "stretch"]


class ImageClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc] # scikit-learn has no types
    """A network that `eyesight.train` trains, as a scikit-learn classifier.

    X may be a list of paths, of Pillow images or of arrays; an array (N, H, W) or (N, H, W, C) of uint8, or of floats
    from 0 to 1; or a table (N, pixels), as `sklearn.datasets.load_digits` gives. All pictures are held in memory. y may
    have labels of any kind.

    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> ImageClassifier(epochs=5).fit(X[:1500], y[:1500]).score(X[1500:], y[1500:]) > 0.85  # doctest: +SKIP
    True

    Args:
        model: a network's name. Where neither this nor a backbone is named: as `train` chooses it for photos from 48
            pixels up (the features of a pretrained network) and for smaller pictures; below 6 pixels a dense network.
        backbone: a pretrained network's name: only a linear layer is fitted on what it makes of pictures.
        shape: (H, W) or (H, W, C) of the pictures in the rows of a table; where not given, squares of one channel or
            three. Other rows, of up to 64 numbers, are taken as they are.
        img_size: side in pixels of the squares that pictures of differing sizes become; 64, or their own where all
            have the same smaller one.
        resize: how: cut the middle ("crop"), add black borders ("pad") or "stretch".
        epochs, budget: how long to train: times through the pictures, or seconds; ten epochs where not given.
        batch_size, lr, validation, seed, device, threads: see `train`.
        settings: dotted configuration keys and values, such as {"recipe.label_smoothing": 0.1}.

    Attributes:
        classes_: (K,) the labels, sorted.
        classifier_: what was trained, an `eyesight.Classifier`; its `save` writes one file.
        n_features_in_: numbers in a row, where X was a table.
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        backbone: str | None = None,
        shape: tuple[int, ...] | None = None,
        img_size: int | None = None,
        resize: Resize = "crop",
        epochs: int | None = None,
        budget: float | None = None,
        batch_size: int | None = None,
        lr: float | None = None,
        validation: float | None = None,
        seed: int = 0,
        device: str | None = None,
        threads: int | None = None,
        settings: dict[str, Any] | None = None,
    ) -> None:
        self.model, self.backbone = model, backbone
        self.shape, self.img_size, self.resize = shape, img_size, resize
        self.epochs, self.budget, self.batch_size, self.lr = epochs, budget, batch_size, lr
        self.validation, self.seed, self.device, self.threads = validation, seed, device, threads
        self.settings = settings

    def fit(self, X: Any, y: Any) -> Self:
        """Train a network on pictures and their labels.

        Raises:
            ValueError: pictures and labels that do not fit together, or of fewer than two classes.
            PictureError, DataError: pictures that cannot be read, or are none.
            UsageError: settings that `train` refuses.
        """
        given = Given.of(X)
        self._table = TableReading.fit(self, X, y, self.shape) if given.is_table else None
        y = validate_data(self, X="no_validation", y=y)
        check_classification_targets(y)
        self.classes_, numbers = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"expected labels of two classes or more; received: one class, {self.classes_[0]!r}")
        backbone = self._backbone(given)
        pictures = self._first_pixels(given, X, backbone)
        if len(pictures) != len(numbers):
            raise ValueError(f"expected a label for each picture; received: {len(pictures)} and {len(numbers)}")
        self.classifier_ = self._train(pictures, numbers, backbone)
        return self

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        """Return probabilities (N, K), in the order of `classes_`."""
        check_is_fitted(self)
        return self.classifier_.probabilities(self._pixels(X))

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return the most probable label of each picture: (N,)."""
        best = self.predict_proba(X).argmax(axis=1)
        found: npt.NDArray[Any] = self.classes_[best]
        return found

    def _backbone(self, given: Given) -> str | None:
        """Return the pretrained network that was asked for, or that photos get where nothing else was."""
        if self.backbone is not None:
            check_backbone(self.backbone, self.model)
            return self.backbone
        own = (self.model, self.img_size, self.epochs, self.budget, self.batch_size, self.lr, self.settings)
        return DEFAULT_BACKBONE if given.are_photos and all(value is None for value in own) else None

    def _first_pixels(self, given: Given, X: Any, backbone: str | None) -> Pixels:
        """Return the pictures that are learned from: uint8 (N, H, W, C)."""
        if self._table is not None:
            pictures = self._table.pixels(self, X)
            return pictures if backbone is None else fitted(pictures, BACKBONES[backbone].size, self.resize)
        side = BACKBONES[backbone].size if backbone else self.img_size
        if given.array is not None:
            return given.array if side is None else fitted(given.array, side, self.resize)
        return read_all(given.items, side or stored_side(given.items), self.resize)

    def _pixels(self, X: Any) -> Pixels:
        """Return pictures as the classifier takes them: uint8 (N, H, W, C)."""
        wanted = self.classifier_.inference.preprocessing
        if self._table is not None:
            pictures = self._table.pixels(self, X)
            return pictures if pictures.shape[1:] == wanted.shape else Images(pictures, wanted).all()
        given = Given.of(X)
        if given.is_table:
            raise ValueError("expected pictures, as in fit; received: a table")
        return Images(given.items if given.array is None else given.array, wanted).all()

    def _train(self, pictures: Pixels, numbers: npt.NDArray[np.int64], backbone: str | None) -> Classifier:
        """Return what is trained in a run that nobody sees."""
        names = [str(label) for label in self.classes_.tolist()]
        if len(set(names)) < len(names) or not all(name.strip() for name in names):
            names = [f"class {k}" for k in range(len(names))]
        data = from_arrays((pictures, numbers), classes=names, validation=0)
        small = min(pictures.shape[1:3]) < _SMALLEST and backbone is None
        lengths = {"epochs": self.epochs, "budget": self.budget}
        recipe: dict[str, Any] = lengths | {"batch_size": self.batch_size, "lr": self.lr}
        with tempfile.TemporaryDirectory(prefix="eyesight-") as folder:
            try:
                run = train(
                    data,
                    model="mlp" if small and self.model is None else self.model,
                    backbone=backbone,
                    output=Path(folder) / "run",
                    seed=self.seed,
                    settings=self.settings,
                    validation=0.1 if self.validation is None else self.validation,
                    device=self.device,
                    threads=self.threads,
                    progress=False,
                    **{name: value for name, value in recipe.items() if value is not None},
                )
            except InterruptedRun as stop:  # its run goes with the folder
                raise KeyboardInterrupt from stop
            return Classifier.load(run.model_file, threads=self.threads)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags


class PhotoFeatures(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """What a pretrained network makes of pictures, as a scikit-learn transformer: numbers for another estimator.

    X may be what `ImageClassifier` takes. Features are kept in the user's cache: those of a picture that was seen
    before are not computed again, so that a cross-validation computes each once.

    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> make_pipeline(PhotoFeatures(), LogisticRegression()).fit(paths, labels)  # doctest: +SKIP

    Args:
        backbone: efficientnet-lite0, -lite1 or -lite2.
        resize: how a picture becomes a square: cut the middle ("crop"), add black borders ("pad") or "stretch".
        shape: see `ImageClassifier`.
        threads: of the CPU, that compute; None for as many as the process may use.
    """

    def __init__(
        self,
        backbone: str = DEFAULT_BACKBONE,
        *,
        resize: Resize = "crop",
        shape: tuple[int, ...] | None = None,
        threads: int | None = None,
    ) -> None:
        self.backbone, self.resize, self.shape, self.threads = backbone, resize, shape, threads

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002 # as all transformers take it
        """Look at the form of X; nothing is learned."""
        check_backbone(self.backbone)
        given = Given.of(X)
        self._table = TableReading.fit(self, X, None, self.shape) if given.is_table else None
        self._n_features_out = self._network().features.width
        return self

    def transform(self, X: Any) -> npt.NDArray[np.float32]:
        """Return the features float32 (N, F) of pictures.

        Raises:
            PictureError: a picture that cannot be read.
        """
        check_is_fitted(self, "_n_features_out")
        network, given = self._network(), Given.of(X)
        if given.is_table != (self._table is not None):
            raise ValueError("expected X of the form that it had in fit: a table, or pictures")
        items: Any = given.items if given.array is None else given.array
        if self._table is not None:
            items = self._table.pixels(self, X)
        return compute(network, Images(items, network.preprocessing)).features

    def _network(self) -> Backbone:
        return _open_backbone(self.backbone, self.resize, self.threads)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


@lru_cache(maxsize=2)
def _open_backbone(name: str, resize: Resize, threads: int | None) -> Backbone:
    """Return a network at work, once for many folds."""
    if resize not in ("crop", "pad", "stretch"):
        raise UsageError(f"expected crop, pad or stretch; received: {resize!r}", field="resize")
    return open_backbone(name, fit=resize, threads=threads)
