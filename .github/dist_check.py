"""Build the sdist and from it the wheel, look at what is in them, and use the wheel in an empty environment."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[1]
NEEDED = ("gnnkit/__init__.py", "gnnkit/py.typed", "gnnkit/serving/page.html", "gnnkit/report/templates")
SMOKE = """
import gnnkit, torch
from gnnkit.layers import GATLayer
assert "site-packages" in gnnkit.__file__, gnnkit.__file__
layer = GATLayer(3, 2)
out = layer(torch.ones(4, 3), torch.tensor([[0, 1, 2], [1, 2, 3]]))
assert out.shape == (4, 2) and bool(out.isfinite().all())
"""
VERBS = (
    ["--version"],
    ["list"],
    ["train", "dlinear", "--data-option", "num_nodes=4", "--data-option", "days=2", "--epochs", "1", "--horizons", "3",
     "--out", "model"],
    ["compare", "--data-option", "num_nodes=4", "--data-option", "days=2", "--models", "gru", "--no-rivals", "--seeds",
     "0,", "--epochs", "1", "--horizons", "3", "--out", "report"],
)  # fmt: skip


def check_wheel(wheel: Path) -> None:
    """Refuse a wheel with anything but the package, or without what the package reads."""
    names = zipfile.ZipFile(wheel).namelist()
    foreign = [name for name in names if PurePosixPath(name).parts[0] != "gnnkit" and ".dist-info" not in name]
    missing = [name for name in NEEDED if not any(found.startswith(name) for found in names)]
    if foreign or missing or not any(name.endswith("licenses/LICENSE") for name in names):
        sys.exit(f"{wheel.name}: foreign {foreign[:3]}, missing {missing}, {len(names)} files")
    print(f"{wheel.name}: {len(names)} files, {wheel.stat().st_size / 2**20:.1f} MiB")


def check_sdist(sdist: Path) -> None:
    """Refuse a source archive with tests, benchmarks or their data."""
    with tarfile.open(sdist) as archive:
        names = [PurePosixPath(name).parts[1:] for name in archive.getnames()]
    foreign = sorted({name[0] for name in names if name and name[0] in ("tests", "benchmarks", "examples", "site")})
    if foreign:
        sys.exit(f"{sdist.name}: holds {', '.join(foreign)}")
    print(f"{sdist.name}: {len(names)} files, {sdist.stat().st_size / 2**20:.1f} MiB")


def main() -> None:
    """All of it; what fails ends it with its exit code."""
    with tempfile.TemporaryDirectory(prefix="gnnkit-dist-") as name:
        folder = Path(name)
        build = [sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", str(folder)]
        subprocess.run(build, cwd=ROOT, check=True)
        sdist = next(folder.glob("*.tar.gz"))
        check_sdist(sdist)
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
        subprocess.run([*pip, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", name, str(sdist)],
                       check=True)  # fmt: skip
        wheel = next(folder.glob("*.whl"))
        check_wheel(wheel)
        venv.create(folder / "empty", with_pip=True)
        python = folder / "empty" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
        constraint = ROOT / ".github" / "constraints.txt"
        install = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--constraint"]
        subprocess.run([*install, str(constraint), str(wheel)], check=True)
        away = folder / "elsewhere"
        away.mkdir()
        subprocess.run([str(python), "-c", SMOKE], cwd=away, check=True)
        for words in VERBS:
            print("gnnkit", *words, flush=True)
            subprocess.run([str(python), "-m", "gnnkit", *words], cwd=away, check=True, stdout=subprocess.DEVNULL)
    print("the wheel works from another folder")


if __name__ == "__main__":
    main()
