"""CIFAR-10 with dense layers only; run it with: python examples/tutorial_cifar10_dense.py.

It needs the files of CIFAR-10 below $EYESIGHT_DATA. `eyesight tutorial cifar10-dense` tells each step.
"""

from pathlib import Path

import eyesight
from eyesight.lessons.convolve import convolve


def main(output: str = "runs/cifar10-dense", data: eyesight.Dataset | None = None, epochs: int = 15) -> eyesight.Run:
    """Train the dense baseline, compare it with guessing, and slide three kernels over a photo."""
    data = data or eyesight.load_data("cifar10", validation=0)  # the test set is looked at once, at the end
    print("First ten labels:", data.train.labels[:10])
    run = eyesight.train(
        data,
        model="mlp",
        epochs=epochs,
        batch_size=32,
        optimizer="keras-rmsprop",
        lr=1e-3,
        schedule="constant",
        normalize="centered",  # pixels / 255 - 0.5
        keep="last",
        precision="fp32",
        output=output,
        overwrite=True,
    )
    report = run.evaluate("test").report
    print(f"Test loss: {report.loss:.4f}, test accuracy: {report.accuracy:.4f}, by guessing: {report.chance:.4f}")
    for kernel in ("random", "edge", "blur7"):
        print("Photo:", convolve(kernels=[kernel], sheet=Path(output) / f"photo-{kernel}.png").sheet)
    return run


if __name__ == "__main__":
    main()
