"""The same report on Apache Spark; PySpark is imported at first use."""

from uphours.spark.functions import Validated, groups, report, timeline, validate

__all__ = ["Validated", "groups", "report", "timeline", "validate"]
