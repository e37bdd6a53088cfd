// The browser's history and the page: see history.py. State is the window's: the page makes this element anew at will.
let told = 0; // how often the browser went back or forth, and the page was told
let pushed = 0; // the last step of the page that is in the browser's history
let session = ""; // of the page
let heard = 0; // the last navigation that the page knows of
let tell = () => {};
let timer;
const AGAIN_MS = 1000;

// What is told between two runs may be lost, and no run need follow: it is told again, each time after twice as long.
function insist(wait = AGAIN_MS) {
  clearTimeout(timer);
  tell();
  if (wait <= 32 * AGAIN_MS) timer = setTimeout(() => heard < told && insist(2 * wait), wait);
}

addEventListener("popstate", () => {
  told += 1;
  insist();
});

export default function ({ data, setTriggerValue }) {
  tell = () => setTriggerValue("went", { to: location.search, number: told });
  if (data.session !== session) {
    if (session) told += 1; // the page began anew, in a window that has gone on
    session = data.session;
    pushed = 0;
  }
  heard = data.heard;
  if (heard < told) return insist(); // what the page says is older than where the browser is
  for (const { number, query } of data.steps.filter((step) => step.number > pushed)) {
    history.pushState(null, "", location.pathname + query);
    pushed = number;
  }
  if (location.search !== data.query) history.replaceState(null, "", location.pathname + data.query);
}
