"""Hooks of the documentation site, which mkdocs.yml names: pages from outside of docs/, and checks of what is built.

Links in the documents are those of the repository, so that they work wherever its files are shown. Here they are made
to work in the site: README.md is its first page, and a file outside of docs/ that a document links to becomes a page
with its text, or, where mkdocs.yml names a `repository`, a link to that.
"""

from __future__ import annotations

import logging
import posixpath
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import File, Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
DOCS = "docs"
SOURCE = "source"
PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""Documents outside of docs/ that are pages of the site, by their path in the repository."""
PARTS = re.compile(r"^```.*?^```$|`[^`\n]+`|(?<=\]\()(?!https?:|mailto:|#)([^)\s#]+)", re.DOTALL | re.MULTILINE)
"""Code, which is left alone, or the target of a link without its anchor."""
SPACED = re.compile(r"(^```.*?^```$)|^  (?=\|)", re.DOTALL | re.MULTILINE)
"""A block of code, or the indentation of a row of a table."""
UNREAD = re.compile(r"<p>(?:(?!</p>).)*?\n *(?:[-*] |\d+\. |\|)", re.DOTALL)
"""A list or a table that was read as part of the paragraph before it."""
FETCHED = re.compile(r"""<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)=["']?(?:https?:)?//[^"'> ]+""")

log = logging.getLogger("mkdocs.hooks.docs_site")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the documents and the source files that lie outside of docs/."""
    for path, uri in PAGES.items():
        files.append(_page(config, uri, ROOT.joinpath(path).read_text("utf-8")))
    if not config.extra["repository"]:
        for path in sorted(_linked_sources(files)):
            files.append(_page(config, f"{SOURCE}/{_uri_of_source(path)}", _listing(path), in_nav=False))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrites the links of a page to those of the site."""
    uri = page.file.src_uri
    if page.parent is None:
        page.meta["hide"] = ["navigation"]  # it would list nothing but this page
    if uri.startswith(f"{SOURCE}/"):
        page.meta["search"] = {"boost": 0.2}  # a page that explains the file comes first
        return markdown

    def rewritten(path: str) -> str:
        if path in PAGES:
            target = PAGES[path]
        elif path.startswith(f"{DOCS}/"):
            target = path.removeprefix(f"{DOCS}/")
        elif repository := config.extra["repository"]:
            return f"{repository.rstrip('/')}/blob/main/{path}"
        else:
            target = f"{SOURCE}/{_uri_of_source(path)}"
        return posixpath.relpath(target, posixpath.dirname(uri) or ".")

    return for_python(with_links(markdown, _path_of(uri), rewritten))


def for_python(markdown: str) -> str:
    """Returns a document with the blanks that Python's Markdown needs and GitHub's does not.

    A block of code is set apart by empty lines, since what follows it would be no paragraph, and a table within a list
    is indented by four, since it would be no part of the list.
    """
    return SPACED.sub(lambda found: f"\n{found[1]}\n" if found[1] else " " * 4, markdown)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Warns of lists and tables that have no blank line before them, which GitHub shows and this site does not."""
    if found := UNREAD.search(re.sub(r"<pre>.*?</pre>", "", html, flags=re.DOTALL)):
        log.warning("%s: put an empty line before the list or table after %r", page.file.src_uri, found[0][-120:])
    return html


def on_post_build(config: MkDocsConfig) -> None:
    """Warns of anything that a browser would fetch from elsewhere."""
    for path in sorted(Path(config.site_dir).rglob("*.html")):
        if found := FETCHED.search(path.read_text("utf-8")):
            log.warning("%s fetches %s", path, found[0])


def _page(config: MkDocsConfig, uri: str, text: str, *, in_nav: bool = True) -> File:
    from mkdocs.structure.files import File, InclusionLevel

    level = InclusionLevel.UNDEFINED if in_nav else InclusionLevel.NOT_IN_NAV
    return File.generated(config, uri, content=text, inclusion=level)


def _path_of(uri: str) -> str:
    """Returns the path in the repository of a page of the site."""
    return next((path for path, page in PAGES.items() if page == uri), f"{DOCS}/{uri}")


def with_links(markdown: str, path: str, change: Callable[[str], str]) -> str:
    """Changes the relative links of a document, given and returned as paths in the repository."""

    def changed(found: re.Match[str]) -> str:
        return change(posixpath.normpath(posixpath.join(posixpath.dirname(path), found[1]))) if found[1] else found[0]

    return PARTS.sub(changed, markdown)


def _linked_sources(files: Files) -> set[str]:
    """Returns the paths of all files outside of docs/ that a page links to, and of those in folders that are linked."""
    linked = set[str]()
    for file in files.documentation_pages():
        with_links(file.content_string, _path_of(file.src_uri), lambda path: linked.add(path) or path)
    outside = {path for path in linked if path not in PAGES and not path.startswith(f"{DOCS}/")}
    outside = {path for path in outside if ROOT.joinpath(path).exists()}  # mkdocs reports links to others
    return outside | {inner for path in outside for inner in _inside(path)}


def _inside(path: str) -> list[str]:
    """Returns the paths of the Python files of a folder; none of a file."""
    return sorted(file.relative_to(ROOT).as_posix() for file in ROOT.joinpath(path).glob("*.py") if file.stat().st_size)


def _uri_of_source(path: str) -> str:
    return f"{path}/index.md" if ROOT.joinpath(path).is_dir() else f"{path}.md"


def _listing(path: str) -> str:
    """Returns a page that shows a file, or lists the files of a folder."""
    if ROOT.joinpath(path).is_dir():
        names = [Path(inner).name for inner in _inside(path)]
        return f"# {path}\n\n" + "\n".join(f"* [{name}]({name}.md)" for name in names)
    text = ROOT.joinpath(path).read_text("utf-8")
    language = {".py": "python", ".toml": "toml"}.get(Path(path).suffix, "text")
    return f"# {path}\n\n````{language}\n{text}\n````\n"
