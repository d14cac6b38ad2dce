"""CIFAR-10 quick start; run it with: python examples/tutorial_cifar10_quickstart.py.

It needs the files of CIFAR-10 below $EYESIGHT_DATA. `eyesight tutorial cifar10-quickstart` tells each step.
"""

import eyesight


def main(
    output: str = "runs/cifar10-quickstart", data: eyesight.Dataset | None = None, epochs: int = 10
) -> eyesight.Run:
    """Train a small convolutional network, and judge it."""
    data = data or eyesight.load_data("cifar10", validation="test")  # the tutorial validates on the test set
    print("First ten:", [data.classes[label] for label in data.train.labels[:10]])
    print(f"{eyesight.summary('small-cnn', input=data.shape, classes=10).parameters:,} parameters")
    run = eyesight.train(
        data,
        model="small-cnn",
        epochs=epochs,
        batch_size=32,
        optimizer="keras-adam",
        lr=1e-3,
        schedule="constant",
        normalize="unit",  # pixels / 255
        keep="last",
        precision="fp32",
        output=output,
        overwrite=True,
    )
    print(run.evaluate("test"))  # more epochs, or other dense layers, may do better
    return run


if __name__ == "__main__":
    main()
