# Bitstreams of all boards, or of those in BOARDS, and the reference page of what they are.
#
#     make boards [BOARDS="icebreaker ulx3s-85f"] [SEEDS=2]

PYTHON ?= python3
SEEDS ?= 2
BOARDS ?=

.PHONY: boards
boards:
	$(PYTHON) benchmarks/bitstreams.py --seeds $(SEEDS) $(BOARDS)
	$(PYTHON) docs/generate.py
