from pathlib import Path


def write_page(r, p: Path):
    pass
