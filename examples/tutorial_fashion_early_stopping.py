# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Fashion-MNIST with early stopping
#
# A small convolutional network learns to tell ten kinds of clothing apart, and stops when it no longer gets better.
# `eyesight tutorial fashion-early-stopping` does the same on the command line, with more words.
#
# You need eyesight (see its README) and the four files of Fashion-MNIST. This file is a program,
# `examples/tutorial_fashion_early_stopping.py`, and the notebook is made from it by `make notebooks`.

# %% tags=["parameters"]
epochs = 25  # at most; fewer for a quick look
data_dir = None  # folder that holds fashion-mnist/; None takes $EYESIGHT_DATA

# %%
# %matplotlib inline
import eyesight
from eyesight.evaluation.figures import confusion, curves
from eyesight.lessons.tutorials.figures import first_picture
from eyesight.lessons.tutorials.gap import describe_gap, measure_gap
from eyesight.lessons.tutorials.keras_form import fit_lines, layer_table
from eyesight.lessons.tutorials.options import explain
from eyesight.lessons.tutorials.programs import find
from eyesight.lessons.tutorials.telling import side_by_side
from eyesight.models import network_spec
from eyesight.report.terminal import align_columns

tutorial = find("fashion-early-stopping")

# %% [markdown]
# ## The pictures
#
# A picture is numbers: 28×28 of them, from 0 (black) to 255 (white). A label is a number from 0 to 9 that stands for
# a class. `validation="test"` is explained below.

# %%
data = eyesight.load_data("fashion-mnist", data_dir=data_dir, validation="test")
x_train, y_train = data.train.gather(range(len(data.train)))[..., 0], data.train.labels
for label, name in enumerate(data.classes):
    print(f"{label} {name:12} {(y_train == label).sum():6}")
print(f"Training data: {x_train.shape}, Test data: {(len(data.split('test')), *x_train.shape[1:])}")

# %%
print("Label of the first training picture:", y_train[0], data.classes[y_train[0]])
first_picture(data.train.gather([0])[0], "training picture 0")

# %% [markdown]
# **Divided by 255.** The first weights and the learning rate are made for numbers of about 0 to 1; with larger ones
# training is unsteady. eyesight does this while it trains (`normalize` below) and saves it with the model, so that no
# picture is ever predicted without it.

# %%
print(x_train.min(), x_train.max(), "→", x_train.min() / 255, x_train.max() / 255)

# %% [markdown]
# ## The network
#
# A convolutional layer slides small kernels over the picture: each finds one kind of thing, such as an edge, wherever
# it is. Max pooling keeps the largest of each 2×2 values. After three of both, two dense layers turn what is left
# into a number for each of the ten classes. The table is the one that Keras' `model.summary()` prints.

# %%
print(*layer_table(network_spec(tutorial.config["model"]["name"], shape=data.shape, classes=10)), sep="\n")

# %% [markdown]
# ## Training
#
# **Early stopping.** How many epochs are enough? Too few, and the network has not learned all it could; too many, and
# it learns its training pictures by heart. So the loss on the test pictures is watched after each epoch, and training
# ends when it has not come below its lowest value for two epochs in a row (`patience`). The weights stay the last
# ones.
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
    data, config=tutorial.config, epochs=epochs, output="runs/fashion-early-stopping", overwrite=True, progress=False
)
rows = run.metrics()
print(*fit_lines(rows, epochs=epochs), sep="\n")

# %% [markdown]
# ## Results
#
# Where the curves part, the network begins to know its training pictures better than what they show.

# %%
curves(rows, trained=[row["epoch"] for row in rows], validation="test")

# %%
evaluation = run.evaluate("test")
print(evaluation)
print(describe_gap(measure_gap(rows[-1], evaluation.report, pictures=len(data.train))))

# %% [markdown]
# In the confusion matrix each row is a class, each column what its pictures were taken for. Shirts and T-shirts are
# confused most.

# %%
confusion(evaluation.report)

# %% [markdown]
# **From probabilities to an answer.** For one picture the network gives ten probabilities, which add up to 1;
# `argmax` is the place of the largest. The tutorial takes the first training picture, the one drawn above. The
# network has learned from it: that it knows it says little about others.

# %%
probabilities = run.classifier.probabilities(data.train.gather([0]))[0]
print(probabilities.round(4))
print("argmax:", probabilities.argmax(), data.classes[probabilities.argmax()])
print("label: ", y_train[0], data.classes[y_train[0]])

# %% [markdown]
# ## Better, on the same data and in no more time
#
# `eyesight tutorial fashion-early-stopping --ours` does this, and says why each setting differs. It learns from all
# training pictures and looks at the test set once, at the end.

# %%
ours = eyesight.train(
    data.with_validation(0),
    config=tutorial.ours,
    output="runs/fashion-early-stopping-ours",
    overwrite=True,
    progress=False,
)
outcomes = {
    title: (trained.metrics(), trained.evaluate("test").accuracy)
    for title, trained in {"this notebook": run, "ours": ours}.items()
}
print(*side_by_side(tutorial, outcomes), sep="\n")
