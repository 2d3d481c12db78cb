"""The steelmaker's page: from a key or a finger to the painted prediction, in Chromium, on a demo of its own.

Clocked in the page itself: from just before the event is sent until the frame that shows what it changed is
made, so it includes layout, painting and up to one frame of waiting (17 ms).
"""

import tempfile
from pathlib import Path

from browser.conftest import SCREEN, chromium_running, log_in
from browser.steelmaker import address, kilograms, waiting_heat
from running_demo import demo_running

EDITS = 100
CLOCK = """async (input) => {
  const painted = () => new Promise((resolve) => {
    requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = () => resolve(performance.now());
      channel.port2.postMessage(null);
    });
  });
  const shown = document.querySelector("tr[data-element=Mn] .predicted-text");
  const milliseconds = [];
  for (let edit = 0; edit < EDITS; edit++) {
    const before = shown.textContent;
    await new Promise((resolve) => setTimeout(resolve, 37));
    const began = performance.now();
    input.value = String(Number(input.value) + (edit % 2 ? -150 : 150));
    input.dispatchEvent(new Event("input", { bubbles: true }));
    milliseconds.push((await painted()) - began);
    if (shown.textContent === before) throw new Error("an edit changed nothing that is shown");
  }
  return milliseconds;
}"""


def measure() -> dict[str, tuple[list[float], str]]:
    """Milliseconds of edits: median, 99 of 100, and the longest."""
    with (
        tempfile.TemporaryDirectory() as made,
        demo_running(Path(made), HISTORY_HEATS="600") as demo,
        chromium_running() as browser,
    ):
        page = browser.new_context(viewport=SCREEN).new_page()
        log_in(page, demo, "steelmaker")
        page.goto(address(demo, waiting_heat(demo)))
        input_ = kilograms(page, "SiMn")
        found: list[float] = sorted(input_.evaluate(CLOCK.replace("EDITS", str(EDITS))))
    return {
        "edit to painted, p50": ([found[len(found) // 2]], "ms"),
        "edit to painted, p99": ([found[int(0.99 * len(found)) - 1]], "ms"),
        "edit to painted, longest": ([found[-1]], "ms"),
    }
