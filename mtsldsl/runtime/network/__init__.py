"""The live network of a spec: built from generated code, run in parts, filled by name from the one before."""
