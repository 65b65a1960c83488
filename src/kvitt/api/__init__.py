"""All that callers reach over HTTP: REST and Thrift, and what both let in."""
