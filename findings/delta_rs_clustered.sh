#!/bin/sh
# delta-rs (PyPI deltalake 1.6.6, the newest in November 2026) reads a table with liquid clustering and cannot write it.
#
# Clustering needs the writer features `clustering` and `domainMetadata`, and no reader feature. So reading works, in
# DataFusion, Polars and Daft too, which read through it; an append, a delete and compaction all end, before anything is
# written, with CommitFailedError. A program that appends to tables of Spark finds out by table. Prints:
#     read: 0 rows
#     append: CommitFailedError: Unsupported table features required: [DomainMetadata, ClusteredTable]   (or the other way)
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check deltalake==1.6.6 pyarrow==25.0.1
mkdir -p "$folder/table/_delta_log"
cat > "$folder/table/_delta_log/00000000000000000000.json" <<'LOG'
{"protocol":{"minReaderVersion":1,"minWriterVersion":7,"writerFeatures":["domainMetadata","clustering","invariants","appendOnly"]}}
{"metaData":{"id":"11111111-2222-3333-4444-555555555555","format":{"provider":"parquet","options":{}},"schemaString":"{\"type\":\"struct\",\"fields\":[{\"name\":\"a\",\"type\":\"string\",\"nullable\":true,\"metadata\":{}}]}","partitionColumns":[],"configuration":{},"createdTime":1790000000000}}
{"domainMetadata":{"domain":"delta.clustering","configuration":"{\"clusteringColumns\":[[\"a\"]]}","removed":false}}
LOG
"$folder/env/bin/python" - "$folder/table" <<'PYTHON'
import sys

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError

print(f"read: {DeltaTable(sys.argv[1]).to_pyarrow_table().num_rows} rows")
try:
    write_deltalake(sys.argv[1], pa.table({"a": ["x"]}), mode="append")
except CommitFailedError as error:
    print(f"append: {type(error).__name__}: {error}")
    assert "ClusteredTable" in str(error), error
else:
    sys.exit("delta-rs has changed: it writes a clustered table")
PYTHON
