"""What Parquet files that Spark reads say of their own limits; read by the driver, from their footers alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from uphours.ingest.readers.parquet_footer import PRUNED_BEFORE, latest_limit, pruned_before_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

#: Footers that are fetched at once: in an object store each takes a while.
_AT_ONCE: Final = 16


def pruned_before(frame: DataFrame) -> int | None:
    """Return from when on the observations of a table are complete, UTC microseconds; None: no file of it says so."""
    spark: Any = frame.sparkSession
    jvm = getattr(getattr(spark, "sparkContext", None), "_jvm", None)
    names = [name for name in frame.inputFiles() if name.endswith(".parquet")]
    if jvm is None or not names:
        return None
    configuration = spark.sparkContext._jsc.hadoopConfiguration()

    def limit(name: str) -> int | None:
        hadoop, parquet = jvm.org.apache.hadoop.fs, jvm.org.apache.parquet.hadoop
        path = hadoop.Path(jvm.java.net.URI(name))
        reader = parquet.ParquetFileReader.open(parquet.util.HadoopInputFile.fromPath(path, configuration))
        try:
            value = reader.getFooter().getFileMetaData().getKeyValueMetaData().get(PRUNED_BEFORE)
        finally:
            reader.close()
        return pruned_before_of({} if value is None else {PRUNED_BEFORE: value}, name)

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return latest_limit(*threads.map(limit, names))
