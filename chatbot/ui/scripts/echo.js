// On a slow network, shows the question before the server has responded. On a fast network the
// response comes first, and nothing is drawn twice.
window.chatbot.echo = (() => {
  const AFTER = 250;
  let waiting = null;
  let timer = 0;
  let picked = "";
  document.addEventListener("click", (event) => {
    const example = event.target.closest?.("#chatbot .example");
    if (example) picked = example.textContent.trim();
  }, true);

  // As `typed` in `render/plain.py` has it.
  const asTyped = (words) => {
    const text = words.replace(/[&<>"'%\n\r\t]/g, (sign) => `&#${sign.charCodeAt(0)};`);
    return `<div class="typed">${text}</div>`;
  };
  const wire = (role, text) => (
    { role, metadata: null, content: [{ type: "text", text }], options: null });
  const same = { __type__: "update" };

  return {
    // The example that was clicked last.
    picked: () => picked,
    // A question was asked, in this session.
    begin: (session, question) => {
      clearTimeout(timer);
      waiting = { session, question, before: null };
      timer = setTimeout(() => document.getElementById("echo")?.click(), AFTER);
    },
    // The server has it. Returns whether an echo stood for it: the box was emptied then.
    end: () => {
      clearTimeout(timer);
      const echoed = Boolean(waiting?.before);
      waiting = null;
      return echoed;
    },
    shown: (messages, typed) => {
      const open = window.chatbot.remembered();
      if (!waiting || (open && waiting.session !== open)) return [same, same];
      const { question } = waiting;
      waiting.before = messages ?? [];
      const rest = typed.startsWith(question) ? typed.slice(question.length) : typed;
      const echo = [wire("user", asTyped(question.trim())), wire("assistant", "…")];
      return [[...waiting.before.map((one) => ({ ...one, options: null })), ...echo], rest];
    },
    // It was refused: what stood here before, and the question back in its box.
    takeBack: (typed) => {
      clearTimeout(timer);
      const { before, question, session } = waiting ?? {};
      waiting = null;
      if (!before) return [same, same];
      const back = typed ? `${question}\n${typed}` : question;
      window.chatbot.drafts.keep(session, session === window.chatbot.remembered() ? back : question);
      return session === window.chatbot.remembered() ? [before, back] : [same, same];
    },
  };
})();
