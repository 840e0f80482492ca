/**
 * The overview as it changes. Text is only ever put in as text. The token is kept in the tab's session storage: nothing is sent by
 * itself, as a cookie would be.
 */
const API = "/api/v1";
const KEPT = "ferry-token";
/** A stream that says nothing for this long is dead, ms: one in which nothing changes says so more often. */
const SILENT_MS = 25_000;
const AGAIN_MS = 1000;

const byId = (id) => document.getElementById(id);
const count = (n) => Math.round(n).toLocaleString("en-US");
const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

/** `1 h 5 min`, `12 min 3 s`, `4.2 s`: two units at most. */
const duration = (ms) => {
  const seconds = ms / 1000;
  if (seconds < 1) return `${Math.round(ms)} ms`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
};

const element = (name, className, ...children) => {
  const made = document.createElement(name);
  if (className !== "") made.className = className;
  made.append(...children);
  return made;
};

const sum = (all, of) => all.reduce((total, one) => total + of(one), 0);

const copyNumber = ({ capture, copy }) => {
  if (capture === null) return undefined;
  if (capture.phase !== "copy") return { name: "Copied", main: plural(copy.documents, "document") };
  const { documents, estimate, perSecond, etaMs } = copy;
  const more = [
    ...(perSecond === null ? [] : [`${count(perSecond)}/s`]),
    ...(etaMs === null ? [] : [`about ${duration(etaMs)} left`]),
  ].join(", ");
  const of = estimate === null ? "" : ` of about ${count(estimate)}`;
  return {
    name: "Copied",
    main: count(documents) + of,
    more,
    share: estimate ? Math.min(0.99, documents / estimate) : undefined,
  };
};

const oplogNumber = ({ capture }) => {
  if (capture === null || capture.oplog === null) return undefined;
  const { leftSeconds, windowSeconds, short } = capture.oplog;
  const more = `of ${duration(windowSeconds * 1000)} of the source's oplog`;
  return { name: "History left", main: duration(Math.max(0, leftSeconds) * 1000), more, isBad: short };
};

const booksNumber = ({ lanes: { counts, imbalanced } }) => {
  const { received, applied, superseded, filtered, dead } = counts;
  return {
    name: "Books",
    main: imbalanced === 0 ? "balance" : "DO NOT BALANCE",
    more: `received ${count(received)} = applied ${count(applied)} + superseded ${count(superseded)} + filtered ${count(filtered)} + dead ${count(dead)}`,
    isBad: imbalanced > 0,
  };
};

const verificationNumber = ({ verification }) => {
  const { routes, finished, documents, behind, wrong, structureWrong, verifiedTo } = verification;
  if (routes === 0) return { name: "Verification", main: "never run", more: "ferry verify" };
  const bad = wrong + structureWrong;
  const up = verifiedTo === null ? "" : `, up to ${new Date(verifiedTo).toLocaleString()}`;
  return {
    name: "Verification",
    main: bad === 0 ? (finished < routes ? "under way" : "nothing wrong") : `${count(bad)} wrong`,
    more: `${plural(documents, "document")} compared, ${count(behind)} behind${up}`,
    isBad: bad > 0,
  };
};

const numbersOf = (found) => {
  const letters = sum(found.letters, (one) => one.letters);
  const conflicts = sum(found.conflicts, (one) => one.count);
  const { cutover, workers, lagMs } = found;
  return [
    { name: "Behind the source", main: lagMs === null ? "not known" : duration(lagMs) },
    copyNumber(found),
    { name: "Applied", main: `${count(workers.appliedPerSecond)}/s`, more: `${plural(workers.alive, "worker")} alive` },
    oplogNumber(found),
    booksNumber(found),
    {
      name: "Dead letters",
      main: letters === 0 ? "none" : count(letters),
      more: found.letters.map((one) => `${one.route}: ${count(one.letters)}`).join(", "),
      isBad: letters > 0,
    },
    { name: "New fields and types", main: found.drift === 0 ? "none" : count(found.drift), more: "ferry drift" },
    { name: "Conflicts", main: conflicts === 0 ? "none" : count(conflicts), more: "ferry conflicts" },
    verificationNumber(found),
    cutover === null
      ? { name: "Cutover", main: "not begun", more: "ferry cutover --ready" }
      : { name: "Cutover", main: cutover.state, more: `pause ${duration(cutover.pauseMs)}` },
  ].filter((one) => one !== undefined);
};

const shownNumber = ({ name, main, more = "", isBad = false, share }) => {
  const made = element("div", "", element("dt", "", name), element("dd", isBad ? "main bad" : "main", main));
  if (share !== undefined) {
    const bar = element("progress", "");
    bar.value = share;
    bar.setAttribute("aria-label", `${name}: ${Math.floor(share * 100)} %`);
    made.append(element("dd", "", bar));
  }
  if (more !== "") made.append(element("dd", "", more));
  return made;
};

const pathOf = ({ capture, lanes, workers }) => [
  ["Source", capture === null ? "read by connectors" : plural(capture.collections, "collection")],
  [
    "Capture",
    capture === null ? "Kafka Connect" : `${capture.phase}, ${capture.owner === null ? "no process" : capture.state}`,
  ],
  ["Log", `${plural(lanes.waiting, "record")} wait`],
  ["Lanes", `${count(lanes.count)}, ${plural(workers.alive, "worker")}`],
  ["Target", `${count(lanes.counts.applied)} applied`],
];

/** Replaces what is shown only where it is another: nothing jumps, and what is read aloud is read once. */
const fill = (id, made) => {
  const next = element("div", "", ...made);
  const place = byId(id);
  if (place.innerHTML !== next.innerHTML) place.replaceChildren(...next.childNodes);
};

/** What a sentence has between backticks is code. */
const withCode = (text) => text.split("`").map((part, n) => (n % 2 === 0 ? part : element("code", "", part)));

const needsOf = ({ needs, unread }) => {
  const all = [...needs, ...unread.map(({ part, reason }) => `${part} could not be read: ${reason}`)];
  return all.length === 0
    ? [element("li", "fine", "Nothing.")]
    : all.map((text) => element("li", "", ...withCode(text)));
};

const show = (found) => {
  byId("overview").hidden = false;
  fill("needs", needsOf(found));
  fill(
    "path",
    pathOf(found).map(([name, text]) => element("li", "", element("strong", "", name), text)),
  );
  fill("numbers", numbersOf(found).map(shownNumber));
  byId("at").textContent = `as of ${new Date(found.at).toLocaleTimeString()}`;
};

const say = (text) => {
  if (byId("connection").textContent !== text) byId("connection").textContent = text;
};

const ask = (why = "") => {
  sessionStorage.removeItem(KEPT);
  byId("overview").hidden = true;
  byId("leave").hidden = true;
  byId("login").hidden = false;
  byId("refused").textContent = why;
  byId("token").focus();
  say("not connected");
};

/** Reads server-sent events: a stream that a header can be sent with, which `EventSource` cannot. */
const follow = async (token) => {
  const ending = new AbortController();
  let silence = setTimeout(() => ending.abort(), SILENT_MS);
  const response = await fetch(`${API}/events`, {
    headers: { authorization: `Bearer ${token}` },
    signal: ending.signal,
  });
  if (!response.ok) return { status: response.status, problem: await response.json() };
  say("live");
  let text = "";
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    clearTimeout(silence);
    silence = setTimeout(() => ending.abort(), SILENT_MS);
    const parts = (text + chunk).split("\n\n");
    text = parts.pop();
    for (const part of parts) {
      const [, data] = /^data: (.*)$/m.exec(part) ?? [];
      if (data !== undefined) show(JSON.parse(data));
    }
  }
  return { status: 200 };
};

const watch = async (token) => {
  byId("login").hidden = true;
  byId("leave").hidden = false;
  while (sessionStorage.getItem(KEPT) === token) {
    const { status, problem } = await follow(token).catch(() => ({ status: 0 }));
    if (sessionStorage.getItem(KEPT) !== token) return;
    if (status === 401 || status === 403) return ask(problem.detail);
    say(status === 0 || status === 200 ? "connection lost, trying again" : problem.detail);
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
};

byId("login").addEventListener("submit", (event) => {
  event.preventDefault();
  const token = byId("token").value.trim();
  byId("token").value = "";
  sessionStorage.setItem(KEPT, token);
  void watch(token);
});

byId("leave").addEventListener("click", () => ask());

const kept = sessionStorage.getItem(KEPT);
if (kept === null) ask();
else void watch(kept);
