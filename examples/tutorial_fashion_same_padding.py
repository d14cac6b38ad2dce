# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Fashion-MNIST with same padding
#
# The network of the CIFAR-10 quick start, with padding, on grey pictures of clothing: every argument of a
# convolutional layer, and a first look at overfitting. `eyesight tutorial fashion-same-padding` does the same on the
# command line, with more words.
#
# You need eyesight (see its README) and the four files of Fashion-MNIST. This file is a program,
# `examples/tutorial_fashion_same_padding.py`, and the notebook is made from it by `make notebooks`.

# %% tags=["parameters"]
epochs = 10  # fewer for a quick look
data_dir = None  # folder that holds fashion-mnist/; None takes $EYESIGHT_DATA

# %%
# %matplotlib inline
import numpy as np

import eyesight
from eyesight.evaluation.figures import curves, picture_grid
from eyesight.lessons.tutorials.fashion import CONV2D
from eyesight.lessons.tutorials.gap import describe_dropout, describe_gap, measure_gap
from eyesight.lessons.tutorials.keras_form import fit_lines, layer_table
from eyesight.lessons.tutorials.options import explain
from eyesight.lessons.tutorials.programs import find
from eyesight.lessons.tutorials.telling import side_by_side
from eyesight.models import network_spec
from eyesight.report.terminal import align_columns

tutorial = find("fashion-same-padding")

# %% [markdown]
# ## The pictures
#
# Fifteen of them, drawn on white as the tutorial does with `cmap=plt.cm.binary`: 0 is white and 255 black. The
# numbers stay as they are.

# %%
data = eyesight.load_data("fashion-mnist", data_dir=data_dir, validation="test")
names = [data.classes[label] for label in data.train.labels[:15]]
picture_grid(data.train.gather(range(15)), names, columns=5, white=True)

# %% [markdown]
# A convolutional layer expects rows, columns and **channels**. Colour pictures have three; these have one, which is
# not written in their shape and so is added. eyesight keeps pictures with their channel from the start.

# %%
x_train = data.train.gather(range(len(data.train)))[..., 0]
print("before:", x_train.shape)
print("after: ", x_train[..., np.newaxis].shape, "as in", data)

# %% [markdown]
# ## The network
#
# What each argument of `Conv2D(32, (3, 3), padding="same", activation="relu", input_shape=(28, 28, 1))` means, and of
# those that it leaves out:

# %%
print(*align_columns(("argument", "value", "what it does"), CONV2D, width=110), sep="\n")

# %% [markdown]
# The table of the layers is the one that Keras' `model.summary()` prints. With same padding only the two poolings
# make the maps smaller: 28×28, 14×14, 7×7. Flatten makes 7×7×64 = 3,136 numbers of the last, and so most of the
# parameters are in the first dense layer.

# %%
print(*layer_table(network_spec(tutorial.config["model"]["name"], shape=data.shape, classes=10)), sep="\n")

# %% [markdown]
# ## Training
#
# **A word on the test set.** The tutorial names the test set as its validation data: after every epoch the network is
# tried on it, and `val_loss` and `val_accuracy` are its loss and accuracy there. The network does not learn from
# these pictures. But whoever chooses by such figures (when to stop, which layers to take) fits the choice to the test
# set, and its accuracy there flatters. Everything else in eyesight holds validation pictures out of the training set,
# chooses on those, and looks at the test set once.

# %%
print(*align_columns(("option", "value", "what it does"), explain(tutorial.configuration()), width=110), sep="\n")

# %%
run = eyesight.train(
    data, config=tutorial.config, epochs=epochs, output="runs/fashion-same-padding", overwrite=True, progress=False
)
rows = run.metrics()
print(*fit_lines(rows, epochs=epochs), sep="\n")

# %% [markdown]
# ## Results

# %%
curves(rows, trained=[row["epoch"] for row in rows], validation="test")

# %%
evaluation = run.evaluate("test")
print(f"Test loss: {evaluation.report.loss:.4f}, test accuracy: {evaluation.accuracy:.4f}")
gap = measure_gap(rows[-1], evaluation.report, pictures=len(data.train))
print(describe_gap(gap))
print(describe_dropout(gap))

# %% [markdown]
# To try dropout, add `settings={"model.dropout": 0.3}` to `eyesight.train` above.

# %% [markdown]
# ## Better, on the same data and in no more time
#
# `eyesight tutorial fashion-same-padding --ours` does this, and says why each setting differs. It learns from all
# training pictures and looks at the test set once, at the end.

# %%
ours = eyesight.train(
    data.with_validation(0),
    config=tutorial.ours,
    output="runs/fashion-same-padding-ours",
    overwrite=True,
    progress=False,
)
outcomes = {
    title: (trained.metrics(), trained.evaluate("test").accuracy)
    for title, trained in {"this notebook": run, "ours": ours}.items()
}
print(*side_by_side(tutorial, outcomes), sep="\n")
