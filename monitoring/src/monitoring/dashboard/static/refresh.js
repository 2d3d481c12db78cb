"use strict";

// A page on a wall keeps up with the heats; one that somebody reads stands still.
const EVERY_MS = 60_000;
let touchedAt = 0;

for (const kind of ["pointerdown", "pointermove", "keydown", "scroll"]) {
  addEventListener(kind, () => { touchedAt = Date.now(); }, { passive: true });
}

setInterval(() => {
  if (!document.hidden && Date.now() - touchedAt >= EVERY_MS) location.reload();
}, EVERY_MS);
