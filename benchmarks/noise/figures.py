"""Where the measured figures of the noise are kept: docs/reference/noise.md is made from them."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "docs" / "figures"


def kept(name: str) -> Any:
    """Return the figures of ``docs/figures/noise-NAME.json``."""
    return json.loads((FOLDER / f"noise-{name}.json").read_text())


def keep(name: str, figures: Any) -> None:
    """Write figures to ``docs/figures/noise-NAME.json`` and show them."""
    FOLDER.mkdir(exist_ok=True)
    text = json.dumps(figures, indent=1)
    (FOLDER / f"noise-{name}.json").write_text(text + "\n")
    print(text)
