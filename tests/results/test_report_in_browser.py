"""Reports of six kinds of runs in a real browser: nothing is said on its console, and nothing is asked for."""

import json
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

import kerasrun
from tests.report.test_pages import check_is_self_contained

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.long,
    pytest.mark.skipif(BROWSER is None, reason="Chromium is not installed"),
]
DATA = Path(__file__).parents[2] / "data"
PICTURES = "{npz: {path: pictures.npz}}"
KINDS = {
    "two classes": PICTURES,
    "ten classes": f"{{directory: {{path: {DATA / 'digits' / 'png'}, color_mode: grayscale}}}}",
    "120 classes": PICTURES,
    "numbers": f"{{csv: {{train: {DATA / 'houses.csv'}, target: price}}}}",
    "masks": f"{{image_masks: {{path: {DATA / 'digit_masks'}, color_mode: grayscale}}}}",
    "table": f"{{csv: {{train: {DATA / 'iris' / 'train.csv'}, label: species}}}}",
}
MODELS = {
    "masks": "layers: [{Conv2D: {filters: 4, kernel_size: 3, padding: same}}]",
    "numbers": "MLP: {units: [8]}",
    "table": "MLP: {units: [8]}",
}


def _is_of_chromium(address):
    """Whether it asks there for the time, accounts and updates of itself, whatever the page."""
    return (urlsplit(address).hostname or "").endswith((".google.com", ".googleapis.com"))


def browsed(page, folder):
    """What Chromium says on the console of a page, and the addresses that it asks for."""
    log = folder / "net.json"
    done = subprocess.run(
        [
            *(BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--log-level=0"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *(f"--user-data-dir={folder / 'profile'}", f"--log-net-log={log}", "--dump-dom", page.as_uri()),
        ],
        **{"capture_output": True, "text": True, "timeout": 120, "check": True},
    )
    asked = {
        event["params"]["url"]
        for event in json.loads(log.read_text())["events"]
        if isinstance(event.get("params"), dict) and "url" in event["params"]
    }
    return [line for line in done.stderr.splitlines() if "CONSOLE" in line], asked, done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_a_report_is_quiet_and_complete(kind, tmp_path):
    if KINDS[kind] == PICTURES:
        classes = 2 if kind == "two classes" else 120
        draw, labels = np.random.default_rng(1), np.arange(480) % classes
        pictures = (draw.integers(0, 256, (480, 8, 8), np.uint8) // 4 + labels[:, None, None] % 190).astype(np.uint8)
        np.savez(
            tmp_path / "pictures.npz", x_train=pictures, y_train=labels, x_test=pictures[:240], y_test=labels[:240]
        )
    (tmp_path / "kind.yaml").write_text(
        f"data: {KINDS[kind]}\nmodel: {{{MODELS.get(kind, 'MLP: {units: [16]}')}}}\n"
        "fit: {epochs: 2, batch_size: 32, validation_split: 0.2}\n"
    )
    run = kerasrun.train(tmp_path / "kind.yaml", output=tmp_path / "runs")
    page = kerasrun.write_report(run)
    seen = check_is_self_contained(page.read_text(encoding="utf-8"))
    assert "What could not be shown" not in seen.text
    console, asked, dom = browsed(page, tmp_path)
    assert console == []
    others = {one for one in asked if not one.startswith("data:") and not _is_of_chromium(one)}
    assert others <= {page.as_uri()}
    assert "What it was" in dom
