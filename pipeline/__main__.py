"""`python -m pipeline` is `camfleet`."""

from pipeline.cli import main

if __name__ == "__main__":
    main()
