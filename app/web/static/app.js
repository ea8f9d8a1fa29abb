/* The page's only script. It keeps its token in this memory, sends JSON by POST, and shows the fragments that come back
   (the server has escaped everything in them, and the policy of the page runs no script but this file). */
"use strict";

(() => {
  const body = document.body;
  const view = document.getElementById("view");
  const bar = document.getElementById("bar");
  const back = document.getElementById("back");
  const say = document.getElementById("say");
  const memory = { token: "", until: 0, purpose: "", launch: null, tab: null, active: Date.now() };

  // ------------------------------------------------------------ asking

  async function post(path, content) {
    const headers = { "Content-Type": "application/json" };
    if (memory.token) headers.Authorization = `Bearer ${memory.token}`;
    try {
      const answer = await fetch(body.dataset.base + path, {
        method: "POST", headers, body: JSON.stringify(content || {}),
        credentials: "omit", cache: "no-store", redirect: "error", referrerPolicy: "no-referrer",
      });
      const json = (answer.headers.get("Content-Type") || "").startsWith("application/json");
      return { ok: answer.ok, status: answer.status, json: json ? await answer.json() : null, html: json ? "" : await answer.text() };
    } catch (problem) {
      return { ok: false, status: 0, json: null, html: offline() };
    }
  }

  function offline() {
    const box = document.createElement("div");
    box.innerHTML = '<div class="note error" role="alert"><strong>This page cannot reach its server.</strong> <span>Try again; if it stays, tell an administrator.</span></div>';
    return box.innerHTML;
  }

  /* As post; a tab whose token ran out asks Maximizer again who is looking, once. */
  async function ask(path, content) {
    let answer = await post(path, content);
    if (answer.status === 401 && memory.purpose === "tab" && memory.launch) {
      const again = await launch(memory.launch);
      if (!again) answer = await post(path, content);
    }
    return answer;
  }

  function hold(session) {
    memory.token = session.token;
    memory.purpose = session.purpose;
    memory.until = Date.now() + session.life * 1000;
    document.getElementById("named").textContent = session.connection;
  }

  /* "" when it worked, else what to show. */
  async function launch(brought) {
    memory.token = "";
    const code = await post("/api/launch", brought);
    if (!code.ok) return code.html;
    return exchange(code.json.code);
  }

  async function exchange(code) {
    const session = await post("/api/session", { code });
    if (!session.ok) return session.html;
    hold(session.json);
    return "";
  }

  // ------------------------------------------------------------ showing

  function region(name) {
    return document.getElementById(name) || view;
  }

  function put(target, html) {
    target.innerHTML = html;
    target.removeAttribute("aria-busy");
    target.querySelectorAll("time").forEach((time) => {
      const at = new Date(time.dateTime);
      const how = time.hasAttribute("data-date") ? { dateStyle: "medium" } : { dateStyle: "medium", timeStyle: "short" };
      time.title = time.textContent;
      time.textContent = new Intl.DateTimeFormat(undefined, how).format(at);
    });
    const focus = target.querySelector("[data-focus]");
    if (focus) focus.focus({ preventScroll: target === view });
    else if (document.activeElement === document.body && target.id) {
      target.tabIndex = -1; // whoever works with the keyboard goes on where the answer stands
      target.focus({ preventScroll: true });
    }
    const told = target.querySelector("[data-say]");
    if (told) say.textContent = told.textContent.trim();
    target.querySelectorAll("[data-end]").forEach((part) => { part.scrollLeft = part.scrollWidth; });
    target.querySelectorAll("[data-load]").forEach(load);
    target.querySelectorAll("[data-poll]").forEach((waiting) => {
      window.setTimeout(async () => {
        if (!waiting.isConnected) return;
        const answer = await ask(waiting.dataset.poll);
        if (waiting.isConnected) put(target, answer.html);
      }, 1000);
    });
  }

  async function load(element) {
    const path = element.dataset.load;
    element.removeAttribute("data-load");
    const answer = await ask(path);
    if (element.isConnected) put(element, answer.html);
  }

  async function open(page) {
    bar.querySelectorAll("[data-page]").forEach((button) => {
      if (button.dataset.page === page) button.setAttribute("aria-current", "page");
      else button.removeAttribute("aria-current");
    });
    view.setAttribute("aria-busy", "true");
    put(view, (await ask(`/api/setup/${page}`)).html);
  }

  function from(template) {
    view.replaceChildren(document.getElementById(template).content.cloneNode(true));
    view.removeAttribute("aria-busy");
  }

  async function showTab() {
    bar.hidden = true;
    put(view, (await ask("/api/tab")).html);
  }

  function showSetup() {
    bar.hidden = false;
    back.hidden = !memory.tab;
    return open("connection");
  }

  // ------------------------------------------------------------ what people do

  function given(form) {
    const found = {};
    for (const field of form.elements) {
      if (!field.name || field.disabled) continue;
      if (field.type === "radio" && !field.checked) continue;
      const kind = field.dataset.type;
      if (kind === "bool") found[field.name] = field.type === "checkbox" ? field.checked : field.value === "true";
      else found[field.name] = kind === "int" ? Number(field.value) : field.value;
    }
    return found;
  }

  async function send(source, path, content, into, answers) {
    const buttons = [...(source.closest("form") || source.parentElement).querySelectorAll("button:enabled")];
    buttons.forEach((button) => { button.disabled = true; });
    say.textContent = "Working";
    const answer = await ask(path, content);
    buttons.forEach((button) => { button.disabled = false; });
    say.textContent = "";
    if (answer.ok || !answers) put(into, answer.html);
    else put(answers, answer.html);
  }

  document.addEventListener("submit", async (event) => {
    const form = event.target;
    event.preventDefault();
    const answers = form.querySelector("[data-answer]");
    if (form.hasAttribute("data-launch")) {
      memory.launch = { ...memory.launch, ...given(form) };
      const problem = await launch(memory.launch);
      if (problem) put(answers, problem);
      else await showTab();
    } else if (form.dataset.post) {
      await send(form, form.dataset.post, given(form), region(form.dataset.into), answers);
    }
  });

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button");
    if (!button || button.type === "submit") return;
    if (button.dataset.page) await open(button.dataset.page);
    else if (button === back) {
      Object.assign(memory, memory.tab);
      memory.tab = null;
      await showTab();
    } else if (button.hasAttribute("data-setup")) {
      const { token, until, purpose } = memory;
      const answer = await ask("/api/setup/open");
      if (!answer.ok) return put(region("fields"), answer.html);
      memory.tab = { token, until, purpose };
      hold(answer.json);
      await showSetup();
    } else if (button.dataset.download) {
      const answer = await ask(button.dataset.download);
      if (!answer.ok) return put(button.parentElement, answer.html);
      save(answer.json);
    } else if (button.dataset.post) {
      const form = button.closest("form");
      const answers = form && form.querySelector("[data-answer]");
      await send(button, button.dataset.post, JSON.parse(button.dataset.body || "{}"), region(button.dataset.into), answers);
    }
  });

  /* Of several fields only the one that goes with the choice is there. */
  document.addEventListener("change", (event) => {
    if (!event.target.matches("[data-switch]")) return;
    event.target.closest("form").querySelectorAll("[data-case]").forEach((part) => {
      const on = part.dataset.case === event.target.value;
      part.hidden = !on;
      part.querySelector("select").disabled = !on;
    });
  });

  function save(file) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([file.text], { type: file.type }));
    link.download = file.name;
    link.click();
    URL.revokeObjectURL(link.href);
  }

  // ------------------------------------------------------------ staying signed in, while somebody works

  for (const kind of ["pointerdown", "keydown"]) document.addEventListener(kind, () => { memory.active = Date.now(); });
  window.setInterval(async () => {
    const soon = memory.until - Date.now() < 180000;
    if (memory.purpose !== "setup" || !soon || Date.now() - memory.active > 600000) return;
    const answer = await post("/api/renew");
    if (answer.ok) hold(answer.json);
  }, 60000);

  // ------------------------------------------------------------ the beginning

  async function begin() {
    const query = new URLSearchParams(location.search);
    const hash = new URLSearchParams(location.hash.slice(1));
    // What was handed over is read once, and taken out of the address.
    history.replaceState(null, "", location.pathname);
    const code = hash.get("code");
    if (code) {
      const problem = await exchange(code);
      if (problem) return put(view, `<h1>MailChimp</h1>${problem}`);
      return memory.purpose === "setup" ? showSetup() : showTab();
    }
    if (body.dataset.view !== "tab") return from("no-code");
    const one = (name) => hash.get(name) || query.get(name) || "";
    memory.launch = { key: one(body.dataset.key), token: one(body.dataset.token) };
    if (!memory.launch.key) return from("no-entry");
    if (!memory.launch.token) return from("sign-in");
    const problem = await launch(memory.launch);
    if (problem) return put(view, `<h1>MailChimp</h1>${problem}`);
    return showTab();
  }

  begin();
})();
