// Comforts for browsers with scripts: buttons that copy, and states that keep themselves up to date.
"use strict";

for (const box of document.querySelectorAll(".copy")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "small copier";
  const text = box.querySelector("code").textContent;
  /** Shows a word, and reads out of what: a page has many of these buttons. */
  const say = (word) => {
    button.textContent = word;
    button.setAttribute("aria-label", `${word} ${text.split("\n")[0]}`);
  };
  say("Copy");
  button.addEventListener("click", () => {
    void copied(text, box).then((done) => {
      say(done ? "Copied" : "Press Ctrl+C");
      setTimeout(say, 2000, "Copy");
    });
  });
  box.append(button);
}

/** Without TLS, browsers have no clipboard for pages: then the text is selected and the old command tried. */
async function copied(text, box) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    getSelection().selectAllChildren(box.querySelector("code"));
    return document.execCommand("copy");
  }
}

const live = [...document.querySelectorAll("[data-state]")];
if (live.length > 0) {
  setInterval(() => void refresh(), 5000);

  const refresh = async () => {
    if (document.visibilityState !== "visible") return;
    try {
      const answer = await fetch(location.pathname, { headers: { Accept: "application/json" } });
      if (!answer.ok) return;
      const { endpoints } = await answer.json();
      for (const { id, kind, state, status } of endpoints) {
        const place = live.find(({ dataset }) => dataset.state === `${kind} ${id}`);
        if (place === undefined || status === undefined || place.textContent === status) continue;
        place.textContent = status;
        place.className = `state ${state}`;
      }
    } catch {
      // The proxy is being started again, or the network is away; the next try comes soon.
    }
  };
}
