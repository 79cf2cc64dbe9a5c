"""The pages of `make docs`: files of the repository where they lie, and what is made of settings and docstrings."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import gnnkit
from gnnkit.cli.options import option_help, option_name
from gnnkit.report.markdown import markdown_table
from gnnkit.settings.comparison import ComparisonFields

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
_OWN_PAGES = {"compare.findings"}  # what a part of a room offers, beside what the room does
ROOMS = sorted(_OWN_PAGES | {name for _, name, _ in pkgutil.iter_modules(gnnkit.__path__) if name[0] != "_"} - {"cli"})
MODELS = "benchmarks/results/models.md"
_LINK = re.compile(r'(?<=\]\()[^)\s#]+|(?<=src=")[^"]+')


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    results = sorted((page.relative_to(ROOT).as_posix() for page in RESULTS.rglob("*.md")), key=_label)
    config.nav = [
        {"gnnkit": "README.md"},
        {"Models and data sets": MODELS},
        {"Settings": "settings.md"},
        {"Results": [{"Speed": "benchmarks/README.md"}, *({_label(page): page} for page in results if page != MODELS)]},
        {"API": [{f"gnnkit.{room}": f"api/{room}.md"} for room in ROOMS]},
        {"Contributing": "CONTRIBUTING.md"},
        {"Changes": "CHANGELOG.md"},
    ]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    pages = {ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md")}
    for path in sorted(_with_what_they_link_to(pages | set(RESULTS.rglob("*.md")))):
        name = path.relative_to(ROOT).as_posix()
        if path.is_dir():
            files.append(File.generated(config, f"{name}/index.md", content=_index(path)))
        else:
            files.append(File.generated(config, name, abs_src_path=str(path)))
    files.append(File.generated(config, "settings.md", content=_settings()))
    for room in ROOMS:
        files.append(File.generated(config, f"api/{room}.md", content=_api(room)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """A link to a folder leads to its page."""

    def page_of_folder(link: re.Match[str]) -> str:
        folder = _target(ROOT / page.file.src_uri, link[0])
        if folder is None or not folder.is_dir():
            return link[0]
        return f"{link[0].rstrip('/')}/{'README' if (folder / 'README.md').exists() else 'index'}.md"

    return _LINK.sub(page_of_folder, markdown)


def _label(page: str) -> str:
    """What the menu calls a page of results: its folder, or its own name."""
    path = Path(page).relative_to("benchmarks/results")
    words = path.parent if path.stem in ("README", "report") else path.with_suffix("")
    return words.as_posix().replace("_", " ").replace("/", ", ").capitalize()


def _target(page: Path, link: str) -> Path | None:
    """The file or folder of the repository that a page's relative link leads to."""
    path = (page.parent / link).resolve()
    return path if "://" not in link and path.exists() and path.is_relative_to(ROOT) else None


def _with_what_they_link_to(pages: set[Path]) -> set[Path]:
    found: set[Path] = set()
    while pages:
        found |= pages
        links = {
            (page, link) for page in pages if page.suffix == ".md" for link in _LINK.findall(page.read_text("utf-8"))
        }
        targets = {target for page, link in links if (target := _target(page, link)) is not None}
        indexed = {target / "README.md" if (target / "README.md").exists() else target for target in targets}
        inside = {file for folder in indexed if folder.is_dir() for file in folder.iterdir() if file.is_file()}
        pages = (indexed | inside) - found
    return found


def _index(folder: Path) -> str:
    """A page with a link to each file of a folder."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    return "\n".join([f"# {folder.relative_to(ROOT).as_posix()}", "", *(f"- [{name}]({name})" for name in names)])


def _settings() -> str:
    """The settings of a comparison, each class of them a table."""
    text = [
        "# Settings",
        "Each is a key of a spec file (`gnnkit compare --spec`), an option of `gnnkit compare` and an argument of "
        "`gnnkit.compare.make_spec`; those of one fit are also options of `gnnkit train`. "
        "`gnnkit compare --schema` prints them as a JSON schema, with the settings of each model.",
    ]
    panels: dict[str, list[list[str]]] = {}
    for name, field in ComparisonFields.model_fields.items():
        owner = next(c for c in reversed(ComparisonFields.__mro__) if name in inspect.get_annotations(c))
        option = f"`{option_name(name, field)}`"
        panels.setdefault(owner.panel, []).append([f"`{name}`", option, option_help(field).replace("|", r"\|")])
    for panel, lines in panels.items():
        text += [f"## {panel}", markdown_table(["key", "option", "what it is"], lines, ())]
    return "\n\n".join(text)


def _modules(room: str) -> Iterator[str]:
    """A room whose front exports names; else what is in it."""
    module = importlib.import_module(f"gnnkit.{room}")
    if getattr(module, "__all__", ()) or not hasattr(module, "__path__"):
        yield module.__name__
        return
    for found in pkgutil.iter_modules(module.__path__):
        if not found.name.startswith("_"):
            yield from _modules(f"{room}.{found.name}")


def _api(room: str) -> str:
    name = f"gnnkit.{room}"
    parts = list(_modules(room))
    text = [f"# {name}", f"::: {name}"]
    if parts != [name]:
        text += [
            f"## {part.removeprefix(f'{name}.')}\n\n::: {part}\n    options: {{heading_level: 3}}" for part in parts
        ]
    return "\n\n".join(text) + "\n"
