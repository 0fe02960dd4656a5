"""What an installation costs: megabytes, packages and seconds, each in a fresh environment.

    python benchmarks/install_size.py
    python benchmarks/install_size.py "stepwell: ." "lightly (CPU torch): torch==2.13.0 lightly"

Every argument is `LABEL: what pip is given`; the label's first word is what gets imported
afterwards, to tell whether the installation works. A folder means "install what lies here".
Without arguments: stepwell from this checkout, and lightly as `pip install lightly` gives it.
"""

import argparse
import datetime
import json
import platform
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

# A new environment starts with these; they are nobody's dependency.
SEEDS = ("pip", "setuptools", "_distutils_hack", "distutils-precedence.pth", "pkg_resources")
# Both packages import lazily: a bare import would prove nothing.
PROBES = {
    "stepwell": "import stepwell; stepwell.learn",
    "lightly": "import lightly.loss, lightly.transforms",
}
ROOT = Path(__file__).resolve().parent.parent
DEFAULT = [f"stepwell: {ROOT}", "lightly: lightly"]


def is_seed(name):
    """Whether an entry of site-packages came with the environment."""
    return name in SEEDS or name.startswith(tuple(f"{seed}-" for seed in SEEDS))


def size_of(path):
    """Bytes in the files below `path` (links are not followed)."""
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_size
    return sum(size_of(child) for child in path.iterdir())


def last_line(process):
    """Why a process failed, in its own words."""
    lines = (process.stderr or process.stdout).strip().splitlines()
    return lines[-1] if lines else f"exit status {process.returncode}"


def measure(label, requirements):
    """Install into a temporary environment; returns one row of the table."""
    with tempfile.TemporaryDirectory(prefix="install-size-") as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / ("Scripts" if sys.platform == "win32" else "bin") / "python"

        def run(*command):
            return subprocess.run([python, *command], capture_output=True, text=True)

        start = time.perf_counter()
        pip = run("-m", "pip", "install", "--no-cache-dir", *requirements)
        seconds = time.perf_counter() - start
        if pip.returncode:
            return [label, "–", "–", "–", "–", f"pip failed: {last_line(pip)}"]
        site = run("-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip()
        entries = [path for path in Path(site).iterdir() if not is_seed(path.name)]
        size = sum(size_of(path) for path in entries)  # before an import adds to it
        listed = json.loads(run("-m", "pip", "list", "--format=json").stdout)
        packages = {p["name"]: p["version"] for p in listed if p["name"] not in SEEDS}
        module = label.split()[0]
        tried = run("-c", PROBES.get(module, f"import {module}"))
        works = "yes" if tried.returncode == 0 else f"no: {last_line(tried)}"
        shown = ", ".join(f"{n} {packages[n]}" for n in (module, "torch") if n in packages)
        return [label, shown, f"{size / 1e6:,.0f}", len(packages), f"{seconds:.0f}", works]


def main():
    """Measure what was asked for and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("specs", nargs="*", default=DEFAULT, metavar="LABEL:REQUIREMENTS")
    header = ["installation", "versions", "MB", "packages", "seconds", "imports"]
    print("|", " | ".join(header), "|")
    print("|---|---|---:|---:|---:|---|")
    for spec in parser.parse_args().specs:
        label, _, requirements = spec.partition(":")
        if not requirements.strip():
            parser.error(f"{spec!r} should read LABEL: REQUIREMENTS")
        row = measure(label.strip(), requirements.split())
        print("|", " | ".join(map(str, row)), "|", flush=True)
    where = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    print(f"\n{datetime.date.today()}, {where}. MB: 10⁶ bytes in site-packages, compiled Python")
    print("files included, pip and setuptools not. Seconds: pip, with no cache of its own.")


if __name__ == "__main__":
    main()
