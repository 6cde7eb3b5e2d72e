"""Boards: one file each, on the platforms of amaranth-boards. None yet; see docs/limits.md."""
