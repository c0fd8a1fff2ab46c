// Opens a session at the search hit. The words are highlighted and counted, and a small bar moves
// between them. It uses the browser's highlights, so that Gradio's elements do not change.
window.chatbot.hits = (() => {
  const { ask, say } = window.chatbot.page;
  const WINDOW = 30;
  const MOST = 1000;
  // Messages around the hit.
  const AROUND = 8;
  // As the server has it: `search.py`.
  const MOST_WORDS = 8;
  const MOST_CHARACTERS = 100;
  const TEXTS = "#chatbot .message-row .md";
  const NOT_TEXT = ".caption, .katex, svg, button";
  let found = null;
  let ranges = [];
  let now = -1;
  let seen = 0;
  let bar = null;

  const folded = (text) => text.normalize("NFKC").toLowerCase();

  // The text of a message, and for each letter of it where it stands.
  const lettersOf = (box) => {
    const walk = document.createTreeWalker(box, NodeFilter.SHOW_TEXT);
    let text = "";
    const places = [];
    for (let node = walk.nextNode(); node; node = walk.nextNode()) {
      if (node.parentElement.closest(NOT_TEXT)) continue;
      let at = 0;
      for (const letter of node.data) {
        const narrow = folded(letter);
        for (let one = 0; one < narrow.length; one += 1) places.push([node, at, at + letter.length]);
        text += narrow;
        at += letter.length;
      }
    }
    return { text, places };
  };
  const rangesIn = (box) => {
    const { text, places } = lettersOf(box);
    const made = [];
    for (const word of found.words) {
      for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + word.length)) {
        const range = document.createRange();
        range.setStart(places[at][0], places[at][1]);
        const [node, , end] = places[at + word.length - 1];
        range.setEnd(node, end);
        made.push([at, range]);
      }
    }
    return made.sort(([one], [other]) => one - other).map(([, range]) => range);
  };

  // Only while something is marked: with a rule for marks in the page Chromium styles all messages
  // anew with each frame of a reply, which keeps it a tenth longer busy.
  const look = new CSSStyleSheet();
  look.replaceSync(`
    #chatbot ::highlight(hit) { background: #ffe9a8; color: #1f2329; }
    #chatbot ::highlight(hit-now) { background: #ffb454; color: #1f2329; }
  `);
  const dress = (isMarked) => {
    const others = document.adoptedStyleSheets.filter((sheet) => sheet !== look);
    document.adoptedStyleSheets = isMarked ? [...others, look] : others;
  };
  const paint = () => {
    if (!window.CSS?.highlights) return;
    dress(true);
    CSS.highlights.set("hit", new Highlight(...ranges));
    CSS.highlights.set("hit-now", new Highlight(...(ranges[now] ? [ranges[now]] : [])));
  };
  const button = (key, sign, work) => {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = sign;
    made.title = say(key);
    made.setAttribute("aria-label", say(key));
    made.onclick = work;
    return made;
  };
  const tell = () => {
    if (!bar) {
      bar = document.createElement("div");
      bar.id = "hits";
      const count = document.createElement("span");
      count.setAttribute("role", "status");
      bar.append(
        count, button("hits_before", "‹", () => step(-1)), button("hits_next", "›", () => step(1)),
        button("hits_close", "×", () => end()),
      );
    }
    const place = document.getElementById("conversation");
    if (place && bar.parentElement !== place) place.append(bar);
    bar.firstChild.textContent = say("hits_count")
      .replace("{now}", String(now + 1)).replace("{all}", String(ranges.length));
    bar.hidden = !ranges.length;
  };
  const show = () => {
    const box = window.chatbot.scroll.box();
    const range = ranges[now];
    if (!box || !range) return;
    window.chatbot.scroll.stay();
    const { top, height } = range.getBoundingClientRect();
    const { top: edge } = box.getBoundingClientRect();
    box.scrollTop += top - edge - (box.clientHeight - height) / 3;
    // Formulas and diagrams above it are drawn a moment later.
    window.chatbot.scroll.hold(range.startContainer.parentElement.closest(".message-row"));
  };
  const step = (by) => {
    if (!ranges.length) return;
    now = (now + by + ranges.length) % ranges.length;
    paint();
    tell();
    show();
  };
  const end = () => {
    if (!found) return;
    found = null;
    ranges = [];
    now = -1;
    bar?.remove();
    dress(false);
    window.CSS?.highlights?.delete("hit");
    window.CSS?.highlights?.delete("hit-now");
  };

  window.chatbot.watch(() => {
    if (!found) return;
    const status = window.chatbot.status();
    if (status.session !== found.session) {
      // It is on its way, or somebody has gone on to another one.
      if (found.isShown) end();
      return;
    }
    const boxes = document.querySelectorAll(TEXTS);
    if (status.running || (found.isShown && boxes.length === seen && ranges.every((one) => !one.collapsed))) return;
    seen = boxes.length;
    if (!seen) return;
    ranges = [...boxes].flatMap(rangesIn);
    const row = document.querySelector(`#chatbot .m${found.message}`)?.closest(".message-row");
    if (!found.isShown) {
      found.isShown = true;
      now = ranges.findIndex((range) => row?.contains(range.startContainer));
      if (now < 0) now = ranges.length - 1;
      show();
    } else now = Math.min(now, ranges.length - 1);
    paint();
    tell();
  });
  document.addEventListener("input", (event) => {
    if (event.target.matches?.("#search-sessions input") && !event.target.value.trim()) end();
  });

  return {
    // How many messages a session has to show, for the hit of this search to be among them.
    seek: async (session, search) => {
      end();
      const words = (search ?? "").slice(0, MOST_CHARACTERS).split(/\s+/).filter(Boolean);
      if (!words.length) return WINDOW;
      const answer = await ask("hit", { session, search });
      if (!answer.message) return WINDOW;
      seen = 0;
      found = {
        session, message: answer.message, isShown: false,
        words: words.slice(0, MOST_WORDS).map(folded),
      };
      return Math.min(Math.max(WINDOW, answer.after + AROUND), MOST);
    },
  };
})();
