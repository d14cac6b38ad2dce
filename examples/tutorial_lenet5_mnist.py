# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # LeNet-5 on MNIST
#
# A network from 1998 learns handwritten digits in 300 updates. `eyesight tutorial lenet5-mnist` does the same on the
# command line, with more words.
#
# You need eyesight (see its README) and the four files of MNIST. This file is a program,
# `examples/tutorial_lenet5_mnist.py`, and the notebook is made from it by `make notebooks`.

# %% tags=["parameters"]
updates = 300  # fewer for a quick look
data_dir = None  # folder that holds mnist/; None takes $EYESIGHT_DATA

# %%
# %matplotlib inline
import numpy as np

import eyesight
from eyesight.evaluation.figures import picture_grid
from eyesight.lessons.tutorials.figures import first_picture
from eyesight.lessons.tutorials.lenet import SHOWN, accuracy_plot, loss_plot, update_line
from eyesight.lessons.tutorials.options import explain
from eyesight.lessons.tutorials.programs import find
from eyesight.lessons.tutorials.telling import side_by_side
from eyesight.report.terminal import align_columns

tutorial = find("lenet5-mnist")

# %% [markdown]
# ## The pictures
#
# 28×28 grey pixels, from 0 (black) to 255 (white), divided by 255 for the network. LeNet-5 was made for 32×32, so two
# rows or columns of zeros are put on each side.

# %%
data = eyesight.load_data("mnist", data_dir=data_dir, validation="test")
first = data.train.gather([0])[0]
padded = np.pad(first, ((2, 2), (2, 2), (0, 0)))
print(first.shape, "→", padded.shape, "divided by 255: from", padded.min() / 255, "to", padded.max() / 255)
first_picture(padded, f"a {data.train.labels[0]}, padded")

# %% [markdown]
# ## The network
#
# By the names of the paper (LeCun et al., 1998): C1 and C3 are convolutions, S1 and S4 halve the maps (max pooling;
# the paper took a mean), F5, F6 and OUTPUT are dense. The padding is its first layer here.

# %%
eyesight.summary("lenet5", input=data.shape, classes=len(data.classes))

# %% [markdown]
# ## Training
#
# Each update takes 100 training pictures at random, with replacement: some come twice, many never. The tutorial calls
# an update an epoch, and so do the lines below. Every five updates one shows loss and accuracy of the last batch, and
# in brackets the accuracy on 500 random test pictures, which shows how well it goes and decides nothing.

# %%
print(*align_columns(("option", "value", "what it does"), explain(tutorial.configuration()), width=110), sep="\n")

# %%
run = eyesight.train(
    data, config=tutorial.config, updates=updates, output="runs/lenet5-mnist", overwrite=True, progress=False
)
rows = run.metrics()
print(*map(update_line, rows), sep="\n")

# %% [markdown]
# ## Results

# %%
loss_plot(rows)

# %%
accuracy_plot(rows)

# %%
test = data.split("test")
answers = run.classifier.probabilities(test.gather(SHOWN)).argmax(axis=1)
titles = [f"Actual: {label} Pred: {answer}" for label, answer in zip(test.labels[SHOWN], answers, strict=True)]
picture_grid(test.gather(SHOWN), titles, columns=3)

# %% [markdown]
# On all test pictures:

# %%
print(run.evaluate("test"))

# %% [markdown]
# ## Better, on the same data and in no more time
#
# `eyesight tutorial lenet5-mnist --ours` does this, and says why each setting differs. It learns from all training
# pictures and looks at the test set once, at the end.

# %%
ours = eyesight.train(
    data.with_validation(0), config=tutorial.ours, output="runs/lenet5-mnist-ours", overwrite=True, progress=False
)
outcomes = {
    title: (trained.metrics(), trained.evaluate("test").accuracy)
    for title, trained in {"this notebook": run, "ours": ours}.items()
}
print(*side_by_side(tutorial, outcomes), sep="\n")
