// The page scrolls with a growing reply only while its end is in view, and stops at once when the
// reader scrolls up in any way. A ResizeObserver watches the messages, so sizes are read only after a
// layout and cause no extra one.
window.chatbot.scroll = (() => {
  // Gradio's: the box that scrolls, and the list of messages in it (or the greeting).
  const BOX = "#chatbot .bubble-wrap";
  const NEAR = 80;
  const FAR = 160;
  let box = null;
  let list = null;
  let following = true;
  let held = false;
  let top = 0;

  const left = () => box.scrollHeight - box.clientHeight - box.scrollTop;
  const tell = (far) => {
    document.getElementById("conversation")?.toggleAttribute("data-away", far);
  };
  const jump = () => {
    box.scrollTop = box.scrollHeight;
    top = box.scrollTop;
    tell(false);
  };
  // What is held in view while messages come in above it, or are drawn: a row, counted from the end, and where
  // it stands.
  const ROWS = ".message-row";
  const HOLD = 2500;
  const listeners = [];
  let anchor = null;
  const restore = () => {
    const rows = list?.querySelectorAll(ROWS) ?? [];
    const row = rows[rows.length - anchor.fromEnd];
    if (!row) return;
    const off = row.getBoundingClientRect().top - box.getBoundingClientRect().top - anchor.at;
    if (Math.abs(off) > 1) box.scrollTop += off;
    top = box.scrollTop;
    if (rows.length > anchor.count) anchor.until = Math.min(anchor.until, Date.now() + 600);
    if (Date.now() > anchor.until) anchor = null;
  };
  const drop = () => { anchor = null; };

  const grown = new ResizeObserver(() => {
    if (!box?.isConnected) return;
    if (anchor) restore();
    else if (following && !held) jump();
    else tell(left() > FAR);
  });

  window.chatbot.watch(() => {
    if (anchor && box?.isConnected) restore();
    const now = document.querySelector(BOX);
    if (now === box && now?.firstElementChild === list) return;
    grown.disconnect();
    box = now;
    list = box?.firstElementChild ?? null;
    top = box?.scrollTop ?? 0;
    for (const one of [box, list]) if (one) grown.observe(one);
  });

  const letGo = () => { if (box?.scrollTop > 0) following = false; };
  const inBox = (event) => box?.contains(event.target);

  document.addEventListener("scroll", (event) => {
    // An event comes after its jump: what the page itself has done is no move of the reader's.
    if (event.target !== box || box.scrollTop === top) return;
    const up = box.scrollTop < top;
    if (anchor) {
      // What follows would be taken for the reader's own.
    } else if (up && left() > 1) following = false;
    else if (left() <= NEAR) following = true;
    top = box.scrollTop;
    tell(!following && left() > FAR);
    if (!anchor) for (const one of listeners) one(box, up);
  }, { capture: true, passive: true });

  document.addEventListener("wheel", (event) => {
    const onButton = event.target.closest?.("#to-newest");
    if (event.deltaY < 0 && (onButton || inBox(event))) letGo();
    // The button lies over the messages, not in them.
    if (onButton && box) box.scrollTop += event.deltaY;
  }, { capture: true, passive: true });

  // While a finger or the mouse's button is down the page keeps still: it may be drawing the
  // scrollbar, or marking words.
  let fingerAt = 0;
  document.addEventListener("touchstart", (event) => {
    if (!inBox(event)) return;
    held = true;
    fingerAt = event.touches[0].clientY;
  }, { capture: true, passive: true });
  document.addEventListener("touchmove", (event) => {
    if (held && event.touches[0].clientY > fingerAt + 2) letGo();
  }, { capture: true, passive: true });
  document.addEventListener("mousedown", (event) => { held = Boolean(inBox(event)); }, true);
  for (const kind of ["touchend", "touchcancel", "mouseup", "blur"]) {
    window.addEventListener(kind, () => { held = false; }, { capture: true, passive: true });
  }
  document.addEventListener("selectionchange", () => {
    const marked = getSelection();
    if (box && !marked.isCollapsed && box.contains(marked.anchorNode)) letGo();
  });

  // The keys that move through a page move through the messages, from the empty page and from the
  // prompt as well, unless the text in it needs them.
  const PAGES = { PageUp: -0.9, PageDown: 0.9, ArrowUp: -0.1, ArrowDown: 0.1 };
  document.addEventListener("keydown", (event) => {
    if (!box || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const at = event.target;
    const typing = at.closest?.("input, textarea, select, [contenteditable]");
    if (typing && !(at.closest("#prompt") && event.key.startsWith("Page"))) return;
    if (typing && at.scrollHeight > at.clientHeight + 1) return;
    if (!typing && at !== document.body && !box.contains(at)) return;
    const up = ["PageUp", "ArrowUp", "Home"].includes(event.key) || (event.key === " " && event.shiftKey);
    if (up) letGo();
    // Where the box itself has the focus the browser moves it.
    if (box.contains(at)) return;
    if (event.key in PAGES) box.scrollBy({ top: PAGES[event.key] * box.clientHeight });
    else if (event.key === "Home") box.scrollTop = 0;
    else if (event.key === "End") jump();
    else return;
    event.preventDefault();
  });

  const toEnd = () => {
    following = true;
    if (box?.isConnected) jump();
  };
  return {
    toEnd,
    moved: (one) => listeners.push(one),
    holding: () => anchor !== null,
    // Keep this row where it is while the page changes around it, or else the first one in view.
    hold: (one) => {
      if (!box) return;
      following = false;
      const rows = [...list.querySelectorAll(ROWS)];
      const edge = box.getBoundingClientRect().top;
      const place = one ? rows.indexOf(one) : rows.findIndex((row) => row.getBoundingClientRect().bottom > edge);
      if (place < 0) return;
      anchor = {
        fromEnd: rows.length - place, count: rows.length, until: Date.now() + HOLD,
        at: rows[place].getBoundingClientRect().top - edge,
      };
      setTimeout(drop, HOLD);
    },
    box: () => box,
    // For who moves the view for a reason of their own: nothing follows until the reader is back.
    stay: () => { following = false; },
  };
})();
