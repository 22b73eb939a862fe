"""The pages for people: every example does what the page says, and every table says what the code does.

A part of a `.mtl` file (an example without the line `mtl 1`) takes the place of the blocks of its kinds in a frame, the
first complete example of its page or of the language reference. One marked `mtl error CODE ...` must be reported with
exactly these codes. The commands of one marked `console run` run among the Python of its page, and print
what it shows, where it shows anything. `UPDATE_EXPECTED=1 pytest tests/docs` makes the generated tables anew.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from mtsldsl.cli import main
from mtsldsl.diagnostics import CODES, MtlError
from mtsldsl.editing import load, loads
from mtsldsl.language.targets import TARGETS
from tests import prepared
from tests.docs.pages import DOCS, LANGUAGE, PAGES, README, ROOT, Example, completed, every_example, examples, frame_of
from tests.docs.tables import MARKED, TABLES, refreshed, without_words

SPECS = sorted((ROOT / "specs").glob("*.mtl"))
MTL = every_example("mtl")
TABLED = [page for page in PAGES if MARKED.search(page.read_text(encoding="utf-8"))]
PYTHON = [page for page in PAGES if examples(page, "python")]


def problems(text: str, name: str) -> tuple[str, ...]:
    try:
        loads(text, name, path=ROOT / "specs" / "example.mtl")
    except MtlError as error:
        return tuple(diagnostic.code for diagnostic in error.diagnostics)
    return ()


def frames(example: Example) -> list[str]:
    """What a part may be a part of; in the README, which shows parts of the specs, any of these as well."""
    own = [frame_of(example.page)]
    return own + [path.read_text(encoding="utf-8") for path in SPECS] if example.page == README else own


@pytest.mark.parametrize("example", [each for each in MTL if each.complete], ids=str)
def test_a_complete_example_reads_as_the_page_says(example: Example) -> None:
    assert problems(example.text, str(example)) == example.expected


@pytest.mark.parametrize("example", [each for each in MTL if not each.complete], ids=str)
def test_a_part_reads_in_its_frame_as_the_page_says(example: Example) -> None:
    found = [problems(completed(example.text, frame), str(example)) for frame in frames(example)]
    assert example.expected in found, found[0]


def in_soak(page: Path) -> pytest.MarkDecorator | tuple[()]:
    """Of the three pages that go from data of one's own to a file for other programs the shortest is always run."""
    return pytest.mark.soak if page.name in ("job_images.md", "job_tokens.md") else ()


@pytest.mark.parametrize("page", [pytest.param(page, id=page.name, marks=in_soak(page)) for page in PYTHON])
def test_the_python_of_a_page_runs_from_top_to_bottom(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_page(page)


def test_the_mistake_that_the_readme_shows_is_reported_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    right, wrong = "loss    = cross_entropy\n", "loss    = cross_entrpy\n"
    spec = frame_of(README)
    assert spec.count(right) == 1
    Path("broken.mtl").write_text(spec.replace(right, wrong), encoding="utf-8")
    (example,) = [each for each in examples(README, "console") if "broken.mtl" in each.text]
    ((words, shown),) = transcript(example)
    done = CliRunner().invoke(main, words[1:])
    assert done.exit_code == 1
    assert done.output == shown


def run_page(page: Path) -> None:
    """Run the Python of a page and its transcripts."""
    shutil.copytree(ROOT / "specs", "specs")
    for example in examples(page, "mtl"):
        if example.file:
            Path(example.file).write_text(example.text, encoding="utf-8")
    names: dict[str, Any] = {"__name__": "__main__"}
    for example in examples(page, "python", "console"):
        if example.kind == "python":
            exec(compile("\n" * example.line + example.text, page, "exec"), names)
        elif "run" in example.words:
            run_transcript(example)


def run_transcript(example: Example) -> None:
    for words, shown in transcript(example):
        assert words[0] == "mtsldsl"
        done = prepared.run("-m", *words)
        assert done.returncode == 0, done.stderr
        assert not shown or done.stdout == shown


def transcript(example: Example) -> list[tuple[list[str], str]]:
    """The commands of a transcript as words, each with the lines that it shows below."""
    found = [part.partition("\n") for part in re.split(r"^\$ ", example.text, flags=re.M)[1:]]
    return [(shlex.split(command, comments=True), shown) for command, _, shown in found]


def plain(report: str) -> str:
    """A report without what depends on the place of an example: the file's name and numbers of lines."""
    report = re.sub(r"^\S+?:\d+:(\d+:)", r"<file>:<line>:\1", report.strip(), flags=re.M)
    return re.sub(r"^ *\d* \|", " |", report, flags=re.M)


@pytest.mark.parametrize("example", [each for each in every_example("text") if " error MTL" in each.text], ids=str)
def test_a_report_that_a_page_shows_is_that_of_the_example_before_it(example: Example) -> None:
    before = [each for each in examples(example.page, "mtl") if each.expected and each.line < example.line]
    text = before[-1].text if before[-1].complete else completed(before[-1].text, frame_of(example.page))
    with pytest.raises(MtlError) as caught:
        loads(text, "x.mtl")
    assert plain(example.text) == plain(str(caught.value))


def words_of(example: Example) -> list[list[str]]:
    """The commands of a transcript, each as words; continued lines are joined."""
    lines = example.text.replace("\\\n", " ").splitlines()
    if example.kind == "console":
        lines = [line.lstrip()[2:] for line in lines if line.lstrip().startswith("$ ")]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def check_mtsldsl(words: list[str]) -> None:
    """Assert that the command and its options exist, and that its specs read without a problem as it sets them."""
    command: click.Command = main
    if words and not words[0].startswith("-"):
        found = main.get_command(click.Context(main), words[0])
        assert found is not None, f"mtsldsl has no command {words[0]}"
        command = found
    options = {name for parameter in command.params for name in parameter.opts} | {"--help", "-h"}
    for word in words[1:]:
        if word.startswith("-"):
            assert word.partition("=")[0] in options, f"mtsldsl {words[0]} has no option {word}"
        if word.startswith("specs/"):
            load(ROOT / word, dict(pair.split("=", 1) for option, pair in pairwise(words) if option == "--set"))


@pytest.mark.parametrize("example", every_example("console", "sh", "bash", "shell"), ids=str)
def test_the_commands_of_a_transcript_exist(example: Example) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    commands = words_of(example)
    assert commands, "a transcript without a command"
    for words in commands:
        program = Path(words[0]).name
        if program == "mtsldsl":
            check_mtsldsl(words[1:])
        elif program.startswith("python") and words[1:3] == ["-m", "mtsldsl"]:
            check_mtsldsl(words[3:])
        elif program == "make":
            assert set(words[1:]) <= targets


@pytest.mark.parametrize("page", TABLED, ids=lambda page: page.name)
def test_the_generated_tables_of_a_page_are_fresh(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    if os.environ.get("UPDATE_EXPECTED") == "1":
        page.write_text(refreshed(text), encoding="utf-8")
        text = page.read_text(encoding="utf-8")
    assert text == refreshed(text)
    assert without_words(text) == []


def test_every_generated_table_has_its_place_and_only_one() -> None:
    named = [match["name"] for page in PAGES for match in MARKED.finditer(page.read_text(encoding="utf-8"))]
    assert sorted(named) == sorted(TABLES)


def test_every_code_is_listed() -> None:
    listed = re.findall(r"^### (MTL\d+): ", (DOCS / "diagnostics.md").read_text(encoding="utf-8"), re.M)
    assert listed == sorted(CODES)


def test_codes_that_a_page_names_exist() -> None:
    named = {code for page in PAGES for code in re.findall(r"\bMTL\d{3}\b", page.read_text(encoding="utf-8"))}
    assert named <= set(CODES)


def anchor(heading: str) -> str:
    """The name under which a heading can be linked to, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_inside_the_project_leads_somewhere(page: Path) -> None:
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, section = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        assert place.exists(), target
        if section:
            headings = re.findall(r"^#+ (.+)$", place.read_text(encoding="utf-8"), re.M)
            assert section in map(anchor, headings), target


def test_a_part_takes_the_place_of_the_blocks_of_its_kind() -> None:
    frame = "mtl 1\n\nlet width = 8\n\ntrain {\n  epochs = 3\n}\n\ntask depth {\n}\n\ntask edge {\n}\n"
    assert completed("task normal {\n}\n", frame).count("task") == 1
    assert "epochs = 3" in completed("task normal {\n}\n", frame)
    assert completed("let width = 16\n", frame).count("width") == 1


def test_an_example_that_is_wrong_is_noticed() -> None:
    frame = frame_of(LANGUAGE)
    assert problems(completed("train {\n  epoch = 30\n}\n", frame), "wrong") == ("MTL104",)


def test_a_stale_table_is_noticed() -> None:
    page = "<!-- generated: losses -->\n\n| target | loss | what it is |\n| --- | --- | --- |\n\n<!-- end -->\n"
    assert refreshed(page) != page
    assert len(without_words(refreshed(page))) == sum(len(target.losses) for target in TARGETS.values())


def test_the_words_of_a_person_are_kept_when_a_table_is_made_anew() -> None:
    page = "<!-- generated: losses -->\n\n| `values` | `l1(old=1)` | the absolute error |\n\n<!-- end -->\n"
    assert "| `values` | `l1`, the default | the absolute error |" in refreshed(page)


def test_a_transcript_that_prints_something_else_is_noticed() -> None:
    text = "$ mtsldsl --version  # of it\n$ mtsldsl --help\nno help\n"
    example = Example(README, 1, "console", ("run",), text)
    assert transcript(example) == [(["mtsldsl", "--version"], ""), (["mtsldsl", "--help"], "no help\n")]
    with pytest.raises(AssertionError):
        run_transcript(example)
