"""Where and when a report was made: shown at its foot, outside its hash."""

import json
from dataclasses import dataclass
from typing import Any

from portfolio_platform.render.text import one_line


@dataclass(frozen=True)
class Provenance:
    """What stands beside a published report. Empty texts are not shown."""

    report_id: str = ""
    revision: int | None = None
    published_at: str = ""
    code_version: str = ""
    import_seq: int | None = None
    lake_versions: tuple[tuple[str, int], ...] = ()

    @classmethod
    def from_json(cls, provenance: bytes, *, report_id: str = "", revision: int | None = None, published_at: str = "") -> "Provenance":
        """Return the provenance that the book holds as JSON beside a report; keys that it does not have stay empty."""
        content: dict[str, Any] = json.loads(provenance or b"{}")
        return cls(
            report_id=report_id,
            revision=revision,
            published_at=published_at,
            code_version=str(content.get("code_version", "")),
            import_seq=content.get("import_seq"),
            lake_versions=tuple(sorted(content.get("lake_versions", {}).items())),
        )

    def lines(self) -> tuple[tuple[str, str], ...]:
        """Return what is known as pairs of name and text, unescaped."""
        pairs = (
            ("Report", one_line(self.report_id)),
            ("Revision", "" if self.revision is None else str(self.revision)),
            ("Published", one_line(self.published_at)),
            ("Code version", one_line(self.code_version)),
            ("Facts up to import", "" if self.import_seq is None else str(self.import_seq)),
            ("Lake versions", ", ".join(f"{one_line(name)} {version}" for name, version in self.lake_versions)),
        )
        return tuple((name, text) for name, text in pairs if text)
