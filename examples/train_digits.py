"""From data to a judged classifier in a few lines; run it with: python examples/train_digits.py."""

import eyesight


def main(output: str = "runs/example") -> eyesight.Run:
    """Train on the embedded digits, judge, and predict one picture."""
    data = eyesight.load_data("digits")
    print(data)
    run = eyesight.train(data, model="small-cnn-1pool", epochs=10, output=output, overwrite=True)
    print(run.evaluate())
    assert data.test is not None
    picture = data.test.gather([0])[0]  # uint8 (H, W, C); a file name works as well
    print(run.classifier.predict(picture, top=3)[0])
    return run


if __name__ == "__main__":
    main()
