// The list follows the plant: the same page again every few seconds, its middle put in place of this one's.
"use strict";

setInterval(async () => {
  if (document.hidden) return;
  try {
    const answer = await fetch(location.href);
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const focused = document.activeElement && document.activeElement.getAttribute("href");
    document.querySelector("main").replaceChildren(...fresh.querySelector("main").childNodes);
    if (focused) document.querySelector(`a[href="${focused.replaceAll("\"", "")}"]`)?.focus();
  } catch {
    // The backend is away for a moment; the next look finds it.
  }
}, 3000);
