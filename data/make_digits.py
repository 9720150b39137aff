"""Makes digits.npz from scikit-learn's digits.csv.gz.

    python make_digits.py path/to/digits.csv.gz [digits.npz]

Each row of the csv holds the 64 pixels (0..16) of an 8x8 image and its class.
The rows are divided once into 1,437 for training and 360 for testing,
stratified by class and shuffled with a fixed seed.
"""

import argparse

import numpy as np

SEED = 0
TEST_SIZE = 360


def test_counts(labels: np.ndarray, test_size: int) -> np.ndarray:
    """Test samples per class: proportional, largest remainders rounded up."""
    counts, remainders = np.divmod(np.bincount(labels) * test_size, len(labels))
    largest = np.argsort(-remainders, kind="stable")
    counts[largest[: test_size - counts.sum()]] += 1
    return counts


def main(source: str, target: str) -> None:
    rows = np.loadtxt(source, delimiter=",", dtype=np.float64).astype(np.uint8)
    images, labels = rows[:, :-1].reshape(-1, 8, 8), rows[:, -1]

    rng = np.random.default_rng(SEED)
    order = rng.permutation(len(labels))
    test = np.concatenate(
        [order[labels[order] == label][:count] for label, count in enumerate(test_counts(labels, TEST_SIZE))]
    )
    is_test = np.zeros(len(labels), dtype=bool)
    is_test[test] = True
    train, test = order[~is_test[order]], order[is_test[order]]

    np.savez_compressed(
        target,
        train_images=images[train],
        train_labels=labels[train],
        test_images=images[test],
        test_labels=labels[test],
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make digits.npz from digits.csv.gz")
    parser.add_argument("source", help="path of digits.csv.gz")
    parser.add_argument("target", nargs="?", default="digits.npz", help="file to write")
    args = parser.parse_args()
    main(args.source, args.target)
