"""The rows of one's own table, in a CSV or Parquet file."""
