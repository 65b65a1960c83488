"""The case streams: thick messages about whole cases or payments, answered by statuses."""
