"""Foreign descriptions of opening hours → our rows: one file a foreign system, and what they share."""

from uphours.ingest.formats.imported import Imported
from uphours.ingest.formats.importing import FORMATS, import_hours
from uphours.ingest.formats.public_holidays import holiday_rows
from uphours.ingest.formats.written import write_files

__all__ = ["FORMATS", "Imported", "holiday_rows", "import_hours", "write_files"]
