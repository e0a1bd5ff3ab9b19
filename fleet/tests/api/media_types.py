"""Media types of the API that schemathesis does not know: an archive of a profile is sent as any binary body is."""

import schemathesis

schemathesis.serializer.alias("application/zstd", "application/octet-stream")
