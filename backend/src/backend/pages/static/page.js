// What every page has: clocks of the wall, and news from the server, which says by itself whether it still hears from it.

const POLL_MS = 4000;
const REOPEN_MS = 30000;
const WATCH_MS = 15000;
const QUIET_MS = 300;
const state = document.getElementById("live");
const listeners = [];

document.documentElement.classList.add("scripted");

// UTC in the page, the clock on the wall for the reader.
export function clocks(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    const pad = (number) => String(number).padStart(2, "0");
    const clock = `${pad(at.getHours())}:${pad(at.getMinutes())}`;
    const day = at.toLocaleDateString(document.documentElement.lang, { day: "2-digit", month: "short" });
    time.title = time.textContent;
    time.textContent = time.dataset.shape === "clock" ? clock : `${day} ${clock}`;
  }
  ages(root);
}

// How long something waits, in minutes.
function ages(root) {
  for (const age of root.querySelectorAll("[data-since]")) {
    const minutes = Math.max(0, Math.floor((Date.now() - new Date(age.dataset.since)) / 60000));
    age.textContent = minutes < 100 ? age.dataset.minutes.replace("{count}", minutes) : age.dataset.long;
    age.classList.toggle("long", minutes >= 10);
  }
}

function heard(how) {
  document.getElementById("offline").hidden = how !== "offline";
  state.className = `live ${how}`;
  if (state.textContent !== state.dataset[how]) state.textContent = state.dataset[how];
}

// The same page again: its element of that id is put in place of what is shown, unless it is the same version. Whether it was.
export async function refresh(id) {
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (answer.redirected) location.reload();
    if (!answer.ok) return false;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const [was, is] = [document.getElementById(id), fresh.getElementById(id)];
    if (!is || (is.dataset.version && is.dataset.version === was.dataset.version)) return false;
    const focused = document.activeElement?.id || document.activeElement?.getAttribute("href");
    clocks(is);
    was.replaceWith(is);
    if (focused && document.activeElement === document.body) {
      [...document.querySelectorAll("a, input, button")]
        .find((one) => one.id === focused || one.getAttribute("href") === focused)
        ?.focus({ preventScroll: true });
    }
    return true;
  } catch {
    heard("offline");
    return false;
  }
}

// Call `act` when the server tells of that treatment ("" is any), and when the connection is back.
export function onNews(key, act) {
  let waiting;
  const soon = () => {
    clearTimeout(waiting);
    waiting = setTimeout(act, QUIET_MS);
  };
  listeners.push({ key, soon });
  if (listeners.length === 1) listen();
}

function tell(key) {
  for (const listener of listeners) if (key === null || listener.key === "" || listener.key === key) listener.soon();
}

// Server-sent events; where they do not come through, the server is asked every few seconds.
function listen() {
  state.hidden = false;
  let source;
  let asking;
  let lost = false;
  const open = () => {
    source = new EventSource("/events");
    source.addEventListener("open", () => {
      clearInterval(asking);
      asking = undefined;
      heard("live");
      if (lost) tell(null);
      lost = false;
    });
    source.addEventListener("treatment", (event) => tell(JSON.parse(event.data).key));
    source.addEventListener("error", () => {
      lost = true;
      asking ??= setInterval(ask, POLL_MS);
      ask();
    });
  };
  const ask = async () => {
    try {
      const answer = await fetch("/health/live", { cache: "no-store" });
      const open = source.readyState === EventSource.OPEN;
      heard(!answer.ok ? "offline" : open ? "live" : "polling");
      if (!answer.ok || open) return;
      tell(null);
      if (source.readyState === EventSource.CLOSED && document.visibilityState === "visible") reopen();
    } catch {
      heard("offline");
    }
  };
  // A browser gives a stream up for good when it was answered with an error once.
  let reopened = 0;
  const reopen = () => {
    if (Date.now() - reopened < REOPEN_MS) return;
    reopened = Date.now();
    open();
  };
  reopened = Date.now();
  open();
  // A line that was cut tells nobody: what is open is tried too.
  setInterval(() => asking === undefined && ask(), WATCH_MS);
  for (const change of ["offline", "online"]) addEventListener(change, ask);
  addEventListener("pagehide", () => source.close());
}

clocks(document);
setInterval(() => ages(document), 15000);
