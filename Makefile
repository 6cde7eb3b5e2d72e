# Bitstreams of all boards, or of those in BOARDS, and the reference page of what they are.
#
#     make boards [BOARDS="icebreaker ulx3s-85f"] [SEEDS=4]

PYTHON ?= python3
SEEDS ?= 4
BOARDS ?=

.PHONY: boards
boards:
	$(PYTHON) docs/boards_page.py --seeds $(SEEDS) $(BOARDS)
	$(PYTHON) docs/generate.py
