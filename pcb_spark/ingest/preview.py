"""What a drop holds, and what of it can be read, without Spark and without writing anything.

Every verdict row is read, by the readers that ingest uses; of the images at most ``LOOKED_AT`` are
opened, and of these no pixels are read.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

from pcb_spark.core import images, names
from pcb_spark.core.layouts import is_picture, is_sidecar
from pcb_spark.ingest import habits, told_rows
from pcb_spark.ingest.table_facts import TableFacts, facts_of
from pcb_spark.ingest.told_rows import Told
from pcb_spark.ingest.verdict_paths import Files

if TYPE_CHECKING:
    from pcb_spark.core.layouts import Layout, Traits
    from pcb_spark.ingest.drop_files import DropFiles
    from pcb_spark.ingest.listing import Listed
    from pcb_spark.ingest.settings import IngestConfig
    from pcb_spark.ingest.verdict_form import Form

LOOKED_AT: Final = 500
EXAMPLES: Final = 3
#: Where times of images stand that files tell.
IN_TABLES, IN_SIDECARS = "captured_at of verdict files", "captured_at of sidecars"
NOWHERE: Final = "no time"


@dataclass(slots=True)
class Reason:
    """How many there are of one reason, and the first few of them."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, example: str) -> None:
        """Count one more."""
        self.count += 1
        if len(self.examples) < EXAMPLES and example not in self.examples:
            self.examples.append(example)


@dataclass(kw_only=True)
class Preview:
    """What was found with the settings that were asked for."""

    images: int
    looked_at: int
    sources: Counter[str]
    image_faults: dict[str, Reason]
    untimed: list[str]
    tables: list[TableFacts]
    rows: list[Told]
    notes: list[str]

    @cached_property
    def matched(self) -> int:
        """Rows whose image is there and that were understood, also where another row counts."""
        understood = (None, names.VERDICT_SUPERSEDED, names.VERDICT_CONFLICT)
        return sum(row.reason in understood for row in self.rows)

    @cached_property
    def labels(self) -> Counter[str]:
        """Verdicts that count, by what they say."""
        return Counter(row.verdict for row in self.rows if row.reason is None and row.verdict)

    @cached_property
    def reasons(self) -> dict[str, Reason]:
        """Why the other rows say nothing."""
        found: dict[str, Reason] = {}
        for row in self.rows:
            if row.reason is not None:
                example = f"{row.file}: {row.detail}" if row.detail else row.file
                found.setdefault(row.reason, Reason()).add(example)
        return found

    @cached_property
    def words(self) -> Counter[tuple[str, str]]:
        """Words in the column ``verdict`` and what each means; ``?`` where nobody knows."""
        found: Counter[tuple[str, str]] = Counter()
        for row in self.rows:
            word = row.texts.get(names.VERDICT)
            if word is not None:
                meaning = row.verdict or "unverified"
                found[word, "?" if row.unknown_word else meaning] += 1
        return found


class Look:
    """One look at a drop, at which settings can be tried; files are opened once.

    Parameters
    ----------
    sidecars : most sidecars that are opened; each costs a store a tenth of a second.
    """

    def __init__(self, files: DropFiles, *, sidecars: int | None = None) -> None:
        self.files = files
        self._most_sidecars = sidecars
        listed = files.list_images()
        self._pictures = [file for file in listed if not is_sidecar(file.uri)]
        self._sidecars = [file for file in listed if is_sidecar(file.uri)]
        self.paths = [files.relative(file.uri) for file in self._pictures]
        self.known = Files(self.paths, files.root)
        self.golden = Files([files.relative(f.uri) for f in files.list_references()], files.root)
        self._contents: dict[str, bytes] = {}
        self._parsed: dict[tuple[str, str], tuple[list[Told], TableFacts]] = {}
        self._traits: dict[Layout, dict[str, Traits]] = {}
        self._opened: dict[tuple[str, Layout], tuple[str | None, str, Traits]] = {}

    def at(self, settings: IngestConfig) -> Preview:
        """What ingest would find with these settings."""
        tables = self.table_files(settings)
        found, facts = [], []
        for uri, length in tables:
            rows, fact = self._parse(uri, length, habits.form(settings))
            found += rows
            facts.append(fact)
        sidecars = list(self._sidecar_rows(settings))
        rows = [*found, *sidecars]
        shown = [(p, t.board_id, t.position) for p, t in self.traits(settings).items()]
        told_rows.judge(rows, settings, self.known, shown)
        sources, faults, untimed = self._times(settings, found, sidecars)
        return Preview(
            images=len(self.paths), looked_at=sum(sources.values()), sources=sources,
            image_faults=faults, untimed=untimed, tables=facts, rows=rows, notes=self._notes(),
        )  # fmt: skip

    def _parse(self, uri: str, length: int, form: Form) -> tuple[list[Told], TableFacts]:
        """The rows of a file, not judged yet, and its form; each is parsed once."""
        key = (uri, repr(form))
        if key not in self._parsed:
            name, content = self.files.relative(uri), self.content(uri) if length else b""
            rows = told_rows.read(name, content, form)
            self._parsed[key] = rows, facts_of(name, content, form, len(rows))
        rows, facts = self._parsed[key]
        return [Told(row.file, row.texts) for row in rows], facts

    def table_files(self, settings: IngestConfig) -> list[tuple[str, int]]:
        """URI and length of manifests and verdict files."""
        return replace(self.files, settings=settings).list_tables()

    def content(self, uri: str) -> bytes:
        """The bytes of a small file."""
        if uri not in self._contents:
            with self.files.places.open(uri) as file:
                self._contents[uri] = file.read()
        return self._contents[uri]

    def traits(self, settings: IngestConfig) -> dict[str, Traits]:
        """What each image's path tells."""
        layout = habits.layout(settings)
        if layout not in self._traits:
            self._traits[layout] = {path: layout.read(path) for path in self.paths}
        return self._traits[layout]

    def others(self) -> list[tuple[str, int]]:
        """Path and length of what lies in the drop and is no picture."""
        found = self.files.places.list_files(self.files.root).files
        pictures = {file.uri for file in (*self._pictures, *self._sidecars)}
        return [
            (self.files.relative(file.uri), file.length)
            for file in found
            if file.uri not in pictures and not file.uri.startswith(self.files.references_folder)
        ]

    @cached_property
    def strays(self) -> Files:
        """Pictures that are neither images nor golden ones."""
        paths = [path for path, _ in self.others() if is_picture(path)]
        return Files(paths, self.files.root)

    def _sidecar_rows(self, settings: IngestConfig) -> Iterator[Told]:
        form = habits.form(settings)
        for file in self._sidecars[: self._most_sidecars]:
            path = self.files.relative(file.uri)
            content = self.content(file.uri) if file.length else b""
            yield from told_rows.read(path, content, form, image=path[: -len(".json")])

    def _notes(self) -> list[str]:
        lines = [*self.files.passed_over(), *self.files.settled_images().lines()]
        most = self._most_sidecars
        if most is not None and len(self._sidecars) > most:
            lines.append(f"{most} of {len(self._sidecars)} sidecars were looked at")
        return lines

    @cached_property
    def _sample(self) -> Sequence[Listed]:
        """Evenly out of all, in the order of their paths."""
        ordered = sorted(self._pictures, key=lambda file: file.uri)
        count = min(len(ordered), LOOKED_AT)
        return [ordered[n * len(ordered) // count] for n in range(count)]

    def _times(
        self, settings: IngestConfig, tables: Sequence[Told], sidecars: Sequence[Told]
    ) -> tuple[Counter[str], dict[str, Reason], list[str]]:
        """Where times come from, why images can't be used, and which have no time."""
        told = {**_timed(sidecars, IN_SIDECARS), **_timed(tables, IN_TABLES)}
        sources: Counter[str] = Counter()
        faults: dict[str, Reason] = {}
        untimed = []
        for file in self._sample:
            path = self.files.relative(file.uri)
            if path.startswith(f"{settings.references}/"):
                continue
            source, fault = told.get(path, (None, None))
            key = (path, habits.layout(settings))
            if key not in self._opened:
                self._opened[key] = self._open(file, path, key[1])
            reason, detail, traits = self._opened[key]
            if source is None:
                source, fault = traits.time_source, traits.time_fault
                moment = traits.captured_at
                if moment is not None and moment > habits.latest(settings):
                    reason, detail = names.CAPTURE_TIME_IN_FUTURE, f"captured at {moment:%F %T}"
            sources[source or NOWHERE] += 1
            if source is None:
                untimed.append(path)
            if reason is None and source is None:
                reason, detail = names.CAPTURE_TIME_MISSING, ""
            elif reason is None and fault is not None:
                reason, detail = names.CAPTURE_TIME_UNREADABLE, fault
            if reason is not None:
                faults.setdefault(reason, Reason()).add(": ".join(filter(None, (path, detail))))
        return sources, faults, untimed

    def _open(self, file: Listed, path: str, layout: Layout) -> tuple[str | None, str, Traits]:
        """Why an image's beginning can't be read, and what it and its name tell."""
        if not file.length:
            return "empty_file", "the file has no bytes", layout.read(path)
        try:
            with self.files.places.open(file.uri) as stream:
                if not images.is_image(stream.read(images.SIGNATURE_BYTES)):
                    return (
                        "not_an_image",
                        "it begins as none of the five formats",
                        layout.read(path),
                    )
                stream.seek(0)
                return None, "", layout.read(path, stream)
        except OSError as error:
            return names.UNREADABLE_FILE, str(error.strerror), layout.read(path)


def _timed(rows: Sequence[Told], source: str) -> dict[str, tuple[str | None, str | None]]:
    """The source, and why it can't be read, of the images of which rows tell a time."""
    found: dict[str, tuple[str | None, str | None]] = {}
    for row in rows:
        if row.texts.get(names.CAPTURED_AT) is not None:
            for path in row.images:
                with contextlib.suppress(ValueError):
                    found.setdefault(path, (source, row.unread_times.get(names.CAPTURED_AT)))
    return found
