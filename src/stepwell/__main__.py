"""``python -m stepwell``, and so ``torchrun -m stepwell``."""

from stepwell.cli import main

if __name__ == "__main__":
    main()
