# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # CIFAR-10 quick start
#
# A small convolutional network for small colour photos of ten kinds of animals and vehicles. `eyesight tutorial
# cifar10-quickstart` does the same on the command line, with more words.
#
# You need eyesight (see its README) and the binary version of CIFAR-10. This file is a program,
# `examples/tutorial_cifar10_quickstart.py`, and the notebook is made from it by `make notebooks`.

# %% tags=["parameters"]
epochs = 10  # fewer for a quick look
data_dir = None  # folder that holds cifar-10/; None takes $EYESIGHT_DATA

# %%
# %matplotlib inline
import eyesight
from eyesight.evaluation.figures import picture_grid
from eyesight.lessons.tutorials.figures import TEST, TRAINING, line_plot
from eyesight.lessons.tutorials.gap import describe_gap, measure_gap
from eyesight.lessons.tutorials.keras_form import fit_lines, layer_table
from eyesight.lessons.tutorials.options import explain
from eyesight.lessons.tutorials.programs import find
from eyesight.lessons.tutorials.telling import side_by_side
from eyesight.models import network_spec
from eyesight.report.terminal import align_columns

tutorial = find("cifar10-quickstart")

# %% [markdown]
# ## The pictures
#
# In colour a picture is three matrices, red, green and blue: 32×32×3 numbers from 0 to 255. `validation="test"` is
# explained below. The pixels are divided by 255 while the network is trained (`normalize` below).

# %%
data = eyesight.load_data("cifar10", data_dir=data_dir, validation="test")
print(len(data.train), "training pictures,", len(data.split("test")), "test pictures of", data.shape)
picture_grid(data.train.gather(range(10)), [data.classes[label] for label in data.train.labels[:10]], columns=5)

# %% [markdown]
# ## The network
#
# Convolutions with 32, 64 and 64 kernels of 3×3 find ever larger things, while two poolings halve the maps. Flatten
# puts the last maps in a row, and two dense layers make ten numbers of it, the *logits*: the larger, the likelier the
# class. The table is the one that Keras' `model.summary()` prints.

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
    data, config=tutorial.config, epochs=epochs, output="runs/cifar10-quickstart", overwrite=True, progress=False
)
rows = run.metrics()
print(*fit_lines(rows, epochs=epochs), sep="\n")

# %% [markdown]
# ## Results
#
# The tutorial's axis goes from 0.5 to 1; what is lower is left out.

# %%
line_plot(rows, [TRAINING, TEST], title=tutorial.title, y="accuracy", limits=(0.5, 1), legend="lower right")

# %%
evaluation = run.evaluate("test")
print(evaluation)
print(describe_gap(measure_gap(rows[-1], evaluation.report, pictures=len(data.train))))

# %% [markdown]
# What may help: **more epochs** (change `epochs` above), or **other dense layers** on top of the convolutions: wider
# than 64, or two of them. Watch the gap between the two curves. With more parameters and more epochs it grows, and
# then it is regularization that helps, as below: mirrored and moved pictures, and a learning rate that falls.

# %% [markdown]
# ## Better, on the same data and in no more time
#
# `eyesight tutorial cifar10-quickstart --ours` does this, and says why each setting differs. It learns from all
# training pictures and looks at the test set once, at the end.

# %%
ours = eyesight.train(
    data.with_validation(0), config=tutorial.ours, output="runs/cifar10-quickstart-ours", overwrite=True, progress=False
)
outcomes = {
    title: (trained.metrics(), trained.evaluate("test").accuracy)
    for title, trained in {"this notebook": run, "ours": ours}.items()
}
print(*side_by_side(tutorial, outcomes), sep="\n")
