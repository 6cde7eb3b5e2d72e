"""Boards: one file each, on the platforms of amaranth-boards; bitstreams, fitting, flashing."""
