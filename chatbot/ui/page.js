// What only the browser can do: log in without a password passing through a Gradio event, tell
// the time zone, keep the open session over a reload, and let an input method have its Enter key.
window.chatbot = (() => {
  const texts = /*TEXTS*/ {};
  const language = () => (navigator.language || "en").toLowerCase().startsWith("zh") ? "zh" : "en";
  const say = (key) => (texts[key] || {})[language()] || "";

  const api = (name) => {
    // Only the path: a proxy that hides https would make the rest of `root` wrong.
    let path = "";
    try { path = new URL(window.gradio_config.root).pathname.replace(/\/$/, ""); } catch { /* root */ }
    return `${path}/gradio_api/chatbot/${name}`;
  };

  const ask = async (name, body, method = "POST") => {
    try {
      const answer = await fetch(api(name), {
        method,
        credentials: "include",
        headers: { "content-type": "application/json" },
        body: method === "GET" ? undefined : JSON.stringify(body ?? {}),
      });
      const data = await answer.json().catch(() => ({}));
      if (answer.ok) return data;
      return { problem: data.error?.message || String(answer.status), code: data.error?.code };
    } catch {
      return { problem: say("no_connection") };
    }
  };
  const post = async (name, body) => (await ask(name, body)).problem || "";

  // A page is one login's. When that has ended, or another one has taken its place in this browser,
  // the page starts anew.
  const request = window.fetch.bind(window);
  window.fetch = async (...what) => {
    const answer = await request(...what);
    if (answer.url.includes("/gradio_api/queue/") && [401, 403].includes(answer.status)) {
      location.reload();
    }
    return answer;
  };

  const escaped = (text) => {
    const box = document.createElement("div");
    box.textContent = text;
    return box.innerHTML;
  };

  const download = (name, text, type) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };

  const keptOut = async () => {
    // Some browsers drop every cookie of a page inside another site's frame.
    const me = await fetch(api("me"), { credentials: "include" }).then((r) => r.json(), () => null);
    if (!me || me.user) return "";
    if (window.top === window) return escaped(say("cookies_off"));
    const link = `<a href="${location.origin}${location.pathname}" target="_blank">${say("open_in_tab")}</a>`;
    return `${escaped(say("cookies_blocked"))} ${link}`;
  };

  // A clock in the page's time zone, for the times beside the messages.
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "";
  const framed = location.protocol === "https:" ? "; SameSite=None; Secure; Partitioned" : "; SameSite=Lax";
  document.cookie = `chatbot_zone=${encodeURIComponent(zone)}; Path=/; Max-Age=31536000${framed}`;
  document.documentElement.lang = language() === "zh" ? "zh-CN" : "en";

  // Enter that ends the choice of a Chinese or Japanese word must not send the message.
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.isComposing || event.keyCode === 229)) {
      event.stopImmediatePropagation();
    }
  }, true);

  // Gradio gives the buttons in the prompt no name.
  const nameButtons = () => {
    document.querySelector("#prompt .submit-button")?.setAttribute("aria-label", say("send_label"));
    document.querySelector("#prompt .stop-button")?.setAttribute("aria-label", say("stop_label"));
  };

  // What is being typed survives a reload, and a page that starts anew after the server did.
  const DRAFT = "chatbot_draft";
  const keep = (key, text) => { try { sessionStorage.setItem(key, text); } catch { /* no storage */ } };
  const kept = (key) => { try { return sessionStorage.getItem(key) || ""; } catch { return ""; } };
  document.addEventListener("input", (event) => {
    if (event.target.closest?.("#prompt")) keep(DRAFT, event.target.value);
  });

  const OPEN = "chatbot_open_session";
  let asked = "";
  let askedAt = 0;
  let lastSent = 0;
  return {
    // What `account.js` builds on.
    page: { ask, say, escaped, download },
    enter: async (what, body) => {
      const problem = await post(what, body);
      return problem ? escaped(problem) : keptOut();
    },
    // The page starts anew, so that nothing of whoever was here is left in it.
    leave: async () => {
      keep(DRAFT, "");
      if (!(await post("logout"))) location.reload();
    },
    remember: (id) => {
      setTimeout(nameButtons, 300);
      keep(OPEN, id || "");
    },
    remembered: () => kept(OPEN),
    draft: (typed) => typed || kept(DRAFT),
    // The code of an invitation link, for its box. The login is renewed by asking who we are.
    arrived: () => {
      fetch(api("me"), { credentials: "include" }).catch(() => {});
      const code = new URLSearchParams(location.search).get("invite") || "";
      if (code) document.querySelector("#auth-view button[role=tab]:nth-of-type(2)")?.click();
      return code;
    },
    // The newest reply this tab shows, so that the server can tell when another tab moved on.
    shown: () => document.querySelector("#usage-line .status")?.dataset.reply || "",
    toEnd: () => document.querySelector("#chatbot .bubble-wrap")?.scrollTo({ top: 1e9 }),
    save: async (id) => {
      const file = await ask("export", { session: id });
      download(file.name ?? "error.txt", file.text ?? file.problem, "text/markdown");
    },
    invitationLink: (code) => {
      const text = new DOMParser().parseFromString(code, "text/html").body.textContent;
      return text ? `<code>${escaped(`${location.origin}${location.pathname}?invite=${text}`)}</code>` : "";
    },
    // The second click of a double click asks nothing; what was refused may be asked again.
    refused: () => { askedAt = 0; },
    asking: (id, window, search, question) => {
      const again = question === asked && Date.now() - askedAt < 1000;
      asked = question ?? "";
      askedAt = Date.now();
      return [id, window, search, again ? null : question];
    },
    // What becomes of the text in the box: it goes once it is stored, it comes back when no word
    // of an answer came, and what was typed meanwhile stays.
    typed: (signal, typed) => {
      const { sent, returned } = JSON.parse(signal || "{}");
      if (sent && sent !== lastSent) {
        lastSent = sent;
        askedAt = 0;
        if (typed.startsWith(asked)) typed = typed.slice(asked.length);
      }
      typed = typed || returned || "";
      keep(DRAFT, typed);
      return typed;
    },
    // The list as it is after a turn, unless another session or another search is open by now.
    listed: (signal, id, search) => {
      const told = JSON.parse(signal || "{}");
      const fits = told.search === search && told.sessions?.some(([, one]) => one === id);
      return fits ? { __type__: "update", choices: told.sessions } : undefined;
    },
  };
})();
