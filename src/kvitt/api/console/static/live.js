// Keeps a page as things are: hears from the stream what has changed, fetches the page anew, and says what does not answer.
// One stream for all tabs of a browser: the tab that holds the lock reads it, and passes on what it says. Every page works without this.
"use strict";

(() => {
  const bar = document.getElementById("live");
  if (!bar || !navigator.locks) return;
  const [said, show, pause] = ["live-said", "live-show", "live-pause"].map((id) => document.getElementById(id));
  const parts = new Set(bar.dataset.parts.split(" ").filter(Boolean));
  const channel = new BroadcastChannel("kvitt-live");
  const SILENT = 4000;
  let [heard, at, faults, every] = [performance.now(), bar.dataset.at, [], 1];
  let [stale, paused, ended, fetching, fetched, fresh, stream] = [false, false, false, false, performance.now(), 0, null];
  // A page with a form that acts is left as it is: it only says that what stands above the form is no longer so.
  const tells = "tells" in bar.dataset;
  let changed = false;

  const since = () => `; what you see is from ${bar.dataset.at}`;
  const fault = () => {
    if (ended) return `Your session has ended: log in again${since()}`;
    if (performance.now() - heard > SILENT) return `kvitt does not answer since ${at}${since()}`;
    return faults.length ? `${faults.join("; ")}${since()}` : "";
  };
  const state = () => {
    if (changed) return `this has changed${since()}`;
    return paused ? `paused${since()}` : fresh ? `${fresh} new` : parts.size && !tells ? "live" : "";
  };

  const tell = () => {
    const wrong = document.hidden ? "" : fault();
    const text = wrong || state();
    bar.classList.toggle("tone-person", wrong !== "" || changed);
    show.hidden = wrong !== "" || (fresh === 0 && !changed);
    if (said.textContent !== text) said.textContent = text;
  };

  // Rows are known by what they lead to, so that each stays itself wherever it moves, with what is focused or opened in it.
  const name = (root) => {
    const names = new Map();
    const named = (part, key) => {
      const times = names.get(key) ?? 0;
      names.set(key, times + 1);
      part.id = `${key}|${times}`.replaceAll(/\s+/g, "_");
    };
    for (const row of root.querySelectorAll("tbody tr")) {
      const table = row.closest("table").caption?.textContent ?? "";
      named(row, `row ${table}|${row.querySelector("a[href]")?.getAttribute("href") ?? row.cells[0]?.textContent.trim()}`);
    }
    for (const part of root.querySelectorAll("details")) {
      named(part, `part ${part.querySelector("summary")?.textContent.trim().split(":")[0]}`);
    }
  };

  // A list that is paged through keeps its rows where they are, unless it is followed: new ones are counted, and shown when wanted.
  // One that has left the list from above others that are still there is struck out; below them it may be on the next page by now.
  // The list is the table before the way through it; charts have tables too.
  const listed = (root) => {
    const pager = root.querySelector("#page [data-list]");
    const isBefore = (table) => table.compareDocumentPosition(pager) & Node.DOCUMENT_POSITION_FOLLOWING;
    return pager && [...root.querySelectorAll("#page tbody")].filter(isBefore).at(-1);
  };
  const copied = (row, isGone) => {
    const copy = row.cloneNode(true);
    copy.classList.toggle("gone", isGone);
    copy.title = isGone ? "no longer in this list" : "";
    return copy;
  };
  const hold = (next) => {
    const [shown, coming] = [document, next].map(listed);
    if (document.querySelector("#page [data-follow]") || !shown || !coming) return 0;
    const [known, come] = [shown, coming].map((each) => new Map([...each.rows].map((row) => [row.id, row])));
    const ids = [...known.keys()];
    const last = ids.findLastIndex((id) => come.has(id));
    const rows = ids.map((id, place) => come.get(id) ?? copied(known.get(id), place < last));
    coming.replaceChildren(...rows);
    return [...come.keys()].filter((id) => !known.has(id)).length;
  };

  const refresh = async (all) => {
    [stale, fetching] = [false, true];
    try {
      const answer = await fetch(location.href, { headers: { "kvitt-live": bar.dataset.version }, cache: "no-store", redirect: "error" });
      if (answer.status === 401) ended = true;
      if (answer.status === 204) changed = true;
      else if (answer.ok) await take(new DOMParser().parseFromString(await answer.text(), "text/html"), all);
    } catch {
      stale = true;
    }
    [fetching, fetched] = [false, performance.now()];
    tell();
  };

  // What is typed stays; what stands above it is as it is by now. Somebody asked for it, so this is a visit as any other.
  const showChanged = async () => {
    const answer = await fetch(location.href, { cache: "no-store", redirect: "error" });
    if (!answer.ok) return location.reload();
    changed = false;
    await take(new DOMParser().parseFromString(await answer.text(), "text/html"), true);
    tell();
  };

  const take = async (next, all) => {
    const page = document.getElementById("page");
    [page, next].forEach(name);
    fresh = all ? 0 : hold(next);
    for (const key of ["at", "version"]) bar.dataset[key] = next.getElementById("live")?.dataset[key] ?? "";
    await htmx.swap({ sourceElement: page, target: page, text: next.documentElement.outerHTML, select: "#page", swap: "outerMorph" });
  };

  const hear = (event) => {
    [heard, at, faults, every] = [performance.now(), event.at ?? at, event.faults ?? [], event.every ?? 1];
    ended ||= event.ended === true;
    stale ||= (event.parts ?? []).some((part) => parts.has(part));
    look();
  };

  const look = () => {
    const due = performance.now() - fetched > every * 1000;
    if (stale && due && !paused && !ended && !changed && !fetching && !document.hidden) refresh(false);
    tell();
  };

  const follow = async (signal) => {
    const answer = await fetch("/live", { signal, cache: "no-store", redirect: "error" });
    if (!answer.ok) return publish(answer.status === 401 ? { ended: true } : { faults: [await answer.text()] });
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let text = ""; ; ) {
      const { done, value } = await reader.read();
      if (done) return;
      const events = (text + value).split("\n\n");
      text = events.pop();
      for (const each of events) publish(JSON.parse(each.slice("data: ".length)));
    }
  };
  const publish = (event) => {
    channel.postMessage(event);
    hear(event);
  };
  const lead = async (signal) => {
    while (!signal.aborted && !ended) {
      await follow(signal).catch(() => {});
      await new Promise((done) => setTimeout(done, 1000));
    }
  };
  const watch = () => {
    stream?.abort();
    stream = null;
    if (document.hidden || ended) return;
    stream = new AbortController();
    const { signal } = stream;
    navigator.locks.request("kvitt-live", { signal }, () => lead(signal)).catch(() => {});
  };

  htmx.config.morphIgnore.push("open");
  channel.addEventListener("message", ({ data }) => hear(data));
  document.addEventListener("visibilitychange", () => {
    heard = performance.now();
    stale ||= parts.size > 0 && !document.hidden;
    watch();
    look();
  });
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.textContent = paused ? "Go on" : "Pause";
    look();
  });
  show.addEventListener("click", () => (changed ? showChanged().catch(() => location.reload()) : refresh(true)));
  bar.hidden = false;
  pause.hidden = parts.size === 0 || tells;
  watch();
  setInterval(look, 500);
})();
