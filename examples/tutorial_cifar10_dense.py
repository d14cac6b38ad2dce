# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # CIFAR-10 dense baseline
#
# What a network without convolutions reaches on small photos, and what a convolution does to a large one. `eyesight
# tutorial cifar10-dense` does the same on the command line, with more words.
#
# You need eyesight (see its README) and the binary version of CIFAR-10. This file is a program,
# `examples/tutorial_cifar10_dense.py`, and the notebook is made from it by `make notebooks`.

# %% tags=["parameters"]
epochs = 15  # fewer for a quick look
data_dir = None  # folder that holds cifar-10/; None takes $EYESIGHT_DATA

# %%
# %matplotlib inline
import numpy as np

import eyesight
from eyesight.evaluation.figures import picture_grid
from eyesight.lessons.tutorials.cifar import PHOTO_KERNELS
from eyesight.lessons.tutorials.figures import TRAINING, line_plot
from eyesight.lessons.tutorials.keras_form import fit_lines, layer_table
from eyesight.lessons.tutorials.options import explain
from eyesight.lessons.tutorials.programs import find
from eyesight.lessons.tutorials.telling import side_by_side
from eyesight.models import network_spec
from eyesight.report.terminal import align_columns

tutorial = find("cifar10-dense")

# %% [markdown]
# ## The pictures
#
# There are copies of CIFAR-10 in several orders, in which the first ten labels differ.

# %%
data = eyesight.load_data("cifar10", data_dir=data_dir, validation=0)
x_train, y_train = data.train.gather(range(len(data.train))), data.train.labels
print("First ten labels:", y_train[:10])
print("Training data:", x_train.shape, "test data:", (len(data.split("test")), *data.shape))
print("Pixels: min", x_train.min(), "max", x_train.max())

# %%
some = np.random.default_rng(0).choice(len(x_train), 16, replace=False)
picture_grid(x_train[some], [data.classes[label] for label in y_train[some]], columns=4)

# %% [markdown]
# **Prepared for the network.** A label becomes a row of ten numbers, with a 1 at its place: what cross-entropy
# compares with the ten probabilities. Pixels are divided by 255 and moved by −0.5 (`normalize` below), so that they
# lie around 0, where tanh is steepest.

# %%
print(y_train[0], "→", np.eye(10, dtype=int)[y_train[0]])
print(x_train.min() / 255 - 0.5, "to", x_train.max() / 255 - 0.5)

# %% [markdown]
# ## The network
#
# No convolutions: all 32×32×3 = 3,072 numbers of a picture in a row, and a weight for each of them in every neuron of
# the first layer. A dense layer does not know which pixels are neighbours.

# %%
print(*layer_table(network_spec(tutorial.config["model"]["name"], shape=data.shape, classes=10)), sep="\n")

# %% [markdown]
# ## Training
#
# Nothing is watched on other pictures; the test set is looked at once, at the end.

# %%
print(*align_columns(("option", "value", "what it does"), explain(tutorial.configuration()), width=110), sep="\n")

# %%
run = eyesight.train(
    data, config=tutorial.config, epochs=epochs, output="runs/cifar10-dense", overwrite=True, progress=False
)
rows = run.metrics()
print(*fit_lines(rows, epochs=epochs), sep="\n")

# %% [markdown]
# ## Results, against guessing

# %%
line_plot(rows, [TRAINING], title=tutorial.title, y="training accuracy")

# %%
report = run.evaluate("test").report
print(f"Test loss {report.loss:.4f}, accuracy {report.accuracy:.4f}; by guessing {report.chance:.4f}")

# %% [markdown]
# ## What a convolution does to a photo
#
# A kernel slides over the photo; each pixel of the result is the sum of the pixels below the kernel times the
# kernel's numbers. A random 3×3 filter, the edge filter (−1 everywhere, 8 in the middle), and a 7×7 blur. As in the
# tutorial, where `imshow` does it, the smallest number is black and the largest white; so with the edge filter, whose
# numbers add up to 0, a flat area is grey. The edge filter once more with its signs: white is 0, orange above it,
# blue below.

# %%
for kernel, scale, about in PHOTO_KERNELS:
    print(about)
    print(eyesight.convolve(kernel=kernel, scale=scale))

# %%
eyesight.convolve(kernel=["random", "edge", "blur7"], scale="min-max")

# %%
eyesight.convolve(kernel="edge", scale="signed")

# %% [markdown]
# ## Better, on the same data and in no more time
#
# `eyesight tutorial cifar10-dense --ours` does this, and says why each setting differs. It learns from all training
# pictures and looks at the test set once, at the end.

# %%
ours = eyesight.train(
    data.with_validation(0), config=tutorial.ours, output="runs/cifar10-dense-ours", overwrite=True, progress=False
)
outcomes = {
    title: (trained.metrics(), trained.evaluate("test").accuracy)
    for title, trained in {"this notebook": run, "ours": ours}.items()
}
print(*side_by_side(tutorial, outcomes), sep="\n")
