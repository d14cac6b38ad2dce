"""Fashion-MNIST with early stopping; run it with: python examples/tutorial_fashion_early_stopping.py.

It needs the files of Fashion-MNIST below $EYESIGHT_DATA. `eyesight tutorial fashion-early-stopping` tells each step.
"""

import eyesight


def main(
    output: str = "runs/fashion-early-stopping", data: eyesight.Dataset | None = None, epochs: int = 25
) -> eyesight.Run:
    """Train until the test loss has not fallen for two epochs, judge, and look at one picture."""
    data = data or eyesight.load_data("fashion-mnist", validation="test")  # the tutorial validates on the test set
    test = data.split("test")
    print("Label counts:", data.train.label_counts(10).tolist())
    print(f"Training data: {(len(data.train), 28, 28)}, Test data: {(len(test), 28, 28)}")
    print("First label:", data.train.labels[0])
    run = eyesight.train(
        data,
        model="small-cnn-3pool",
        epochs=epochs,  # at most
        early_stopping={"monitor": "val_loss", "patience": 2},
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
    evaluation = run.evaluate("test")  # curves and confusion matrix go into the run's folder
    print(evaluation)
    probabilities = run.classifier.probabilities(test.gather([0]))[0]  # (10,)
    print("Probabilities:", probabilities.round(4))
    print("argmax:", probabilities.argmax(), data.classes[probabilities.argmax()])
    return run


if __name__ == "__main__":
    main()
