"""Fashion-MNIST with same padding; run it with: python examples/tutorial_fashion_same_padding.py.

It needs the files of Fashion-MNIST below $EYESIGHT_DATA. `eyesight tutorial fashion-same-padding` tells each step.
"""

import eyesight


def main(
    output: str = "runs/fashion-same-padding", data: eyesight.Dataset | None = None, epochs: int = 10
) -> eyesight.Run:
    """Train with padding that keeps the size, and compare training with test accuracy."""
    data = data or eyesight.load_data("fashion-mnist", validation="test")  # the tutorial validates on the test set
    print(f"Before: {(len(data.train), 28, 28)}, with the channel: {(len(data.train), *data.shape)}")
    run = eyesight.train(
        data,
        model="small-cnn-same",
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
    report = run.evaluate("test").report
    print(f"Test loss: {report.loss:.4f}, test accuracy: {report.accuracy:.4f}")
    print(f"Train accuracy: {run.metrics()[-1]['accuracy']:.4f}; dropout would reduce the overfitting")
    return run


if __name__ == "__main__":
    main()
