"""LeNet-5 on MNIST in 300 updates; run it with: python examples/tutorial_lenet5_mnist.py.

It needs the files of MNIST below $EYESIGHT_DATA. `eyesight tutorial lenet5-mnist` tells each step.
"""

import eyesight
from eyesight.training.events import EpochEnded, Event


def show(event: Event) -> None:
    """Print the tutorial's line, which calls an update an epoch."""
    if isinstance(event, EpochEnded):
        row = event.row
        accuracies = f"{row['accuracy']:.2f} ({row['val_accuracy']:.2f})"
        print(f"Epoch # {row['step']}. Train Loss: {row['loss']:.2f}. Train Acc (Test Acc): {accuracies}")


def main(output: str = "runs/lenet5-mnist", data: eyesight.Dataset | None = None, updates: int = 300) -> eyesight.Run:
    """Train on random batches, watched on random test pictures, and show what it says of six."""
    data = data or eyesight.load_data("mnist", validation="test")
    test = data.split("test")
    run = eyesight.train(
        data,
        model="lenet5",  # pads 28x28 to 32x32
        updates=updates,
        batch_size=100,
        sampling="replacement",
        validate_every=5,
        validation_sample=500,
        optimizer="keras-adam",
        lr=1e-3,
        schedule="constant",
        normalize="unit",  # pixels / 255
        keep="last",
        precision="fp32",
        seed=98,
        output=output,
        overwrite=True,
        progress=False,
        listeners=[show],
    )
    answers = run.classifier.probabilities(test.gather(range(30, 36))).argmax(axis=1)
    for label, answer in zip(test.labels[30:36], answers, strict=True):
        print(f"Actual: {label} Pred: {answer}")
    print(run.evaluate("test"))
    return run


if __name__ == "__main__":
    main()
