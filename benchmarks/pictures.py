"""The README's pictures: the six-node graph, and the top of a comparison's report.

    gnnkit compare --out demo && python benchmarks/pictures.py demo/report.html

They land in benchmarks/results/pictures. The report is photographed by a headless Chromium, which has to be there.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

from gnnkit.graph import draw_receptive_field, six_node_graph

PICTURES = Path(__file__).resolve().parent / "results" / "pictures"
BROWSERS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


def photograph(page: Path, picture: Path, *, width: int = 1180, height: int = 900) -> None:
    """Write what the first screen of a page shows.

    Raises:
        FileNotFoundError: The page or a Chromium is missing.
    """
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        raise FileNotFoundError(f"none of {', '.join(BROWSERS)} is installed; make browser installs one")
    if not page.is_file():
        raise FileNotFoundError(f"no such file: {page}; gnnkit compare --out {page.parent} writes it")
    with tempfile.TemporaryDirectory() as profile:
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={profile}"]
        flags += [f"--window-size={width},{height}", f"--screenshot={picture}", page.resolve().as_uri()]
        subprocess.run([browser, *flags], check=True, capture_output=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("report", type=Path, help="report.html of a comparison")
    parser.add_argument("--out", type=Path, default=PICTURES, help="folder of the pictures")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    figure = draw_receptive_field(six_node_graph(), "E", source="C")
    figure.savefig(options.out / "six_nodes.png", dpi=110, facecolor="white", metadata={"Software": None})
    photograph(options.report, options.out / "report.png")
    print(f"Drawn in {options.out}")


if __name__ == "__main__":
    main()
