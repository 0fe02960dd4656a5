"""Word vectors by gensim, for texts whose words are parted by spaces already, one text a line.

Runs in an environment of its own (gensim is no dependency of stepwell):

    python -m venv ENV && ENV/bin/pip install gensim
    ENV/bin/python benchmarks/peers/gensim_words.py TEXTS.txt OUT.npz --words WORDS.txt \
        --method word2vec --epochs 5 --window 5

Skip-gram, 200 numbers a word, words that come twice. OUT.npz holds `words` and `vectors`, and
`seconds`, `cpu` and `tokens` of building the vocabulary and training: reading the file is free.
"""

import argparse
import time

import gensim
import numpy as np

KINDS = {"word2vec": gensim.models.Word2Vec, "fasttext": gensim.models.FastText}


def main() -> None:
    """Train, and write the vectors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("texts")
    parser.add_argument("out")
    parser.add_argument("--method", choices=KINDS, default="word2vec")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--window", type=int, default=5)
    parser.add_argument("--width", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--words", required=True, help="file with words to write vectors of, where it has them"
    )
    told = parser.parse_args()
    with open(told.texts, encoding="utf-8") as file:
        texts = [line.split() for line in file]
    begun, cpu = time.perf_counter(), time.process_time()
    model = KINDS[told.method](
        texts,
        vector_size=told.width,
        window=told.window,
        epochs=told.epochs,
        min_count=2,
        sg=1,
        workers=2,
        seed=told.seed,
    )
    cost = {"seconds": time.perf_counter() - begun, "cpu": time.process_time() - cpu}
    cost["tokens"] = sum(map(len, texts))
    with open(told.words, encoding="utf-8") as file:  # fastText has vectors of unknown words too
        words = [word for word in file.read().split() if word in model.wv]
    np.savez(told.out, words=np.array(words), vectors=model.wv[words], **cost)


if __name__ == "__main__":
    main()
