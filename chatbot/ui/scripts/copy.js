// Copies the source text, not the rendered one: for a message the stored text, requested from the
// server; for a code block its code. Gradio would copy the page's HTML, and code without its tabs.
window.chatbot.copy = (() => {
  const { ask } = window.chatbot.page;
  const COPIED_MS = 1500;
  // Keeps tabs at the beginning of a line through Gradio's Markdown; see `render/code.py`.
  const TAB_KEEPER = /^\ufeff(?= *\t)/gm;

  // By a field that is selected: over plain http, but on localhost, there is no clipboard to write.
  const bySelection = (text) => {
    const focused = document.activeElement;
    const box = document.createElement("textarea");
    box.value = text;
    box.readOnly = true;
    box.style.cssText = "position:fixed;top:0;left:-999px";
    document.body.append(box);
    box.select();
    const done = document.execCommand("copy");
    box.remove();
    focused?.focus?.({ preventScroll: true });
    return done;
  };
  const write = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      return bySelection(text);
    }
  };

  const told = (button) => {
    button.toggleAttribute("data-copied", true);
    setTimeout(() => button.removeAttribute("data-copied"), COPIED_MS);
  };

  // The message a row of buttons belongs to. While it is written it has no number of its own yet,
  // but is the newest.
  const messageOf = (buttons) => {
    const row = buttons.previousElementSibling;
    const marks = row?.querySelectorAll("small.caption, .typed") ?? [];
    const number = [...marks].at(-1)?.className.match(/(?:^| )m(\d+)(?: |$)/)?.[1];
    return number ?? document.querySelector("#usage-line .status")?.dataset.reply;
  };
  const sourceOf = async (buttons) => {
    const answer = await ask("source", { message: messageOf(buttons) ?? "" });
    if (answer.text !== undefined) return answer.text;
    // Better what is seen than nothing.
    const shown = buttons.previousElementSibling?.querySelector(".md");
    return shown?.innerText ?? "";
  };

  document.addEventListener("click", async (event) => {
    const beside = event.target.closest?.("[data-copy]");
    if (beside && await write(beside.previousElementSibling.textContent)) told(beside);
    const button = event.target.closest?.("#chatbot button");
    if (!button) return;
    const buttons = button.closest(".message-buttons");
    let text;
    if (button.matches(".copy_code_button")) {
      event.stopImmediatePropagation();
      const code = button.parentElement.querySelector("code")?.textContent ?? "";
      text = code.replace(TAB_KEEPER, "").replace(/\n$/, "");
    } else if (buttons && button === buttons.querySelector("button")) {
      event.stopImmediatePropagation();
      text = await sourceOf(buttons);
    } else return;
    if (await write(text)) told(button);
  }, true);

  // What is selected and copied by hand holds no such mark either.
  document.addEventListener("copy", (event) => {
    const selection = getSelection();
    if (!selection || !event.target.closest?.("#chatbot")) return;
    const text = selection.toString();
    const clean = text.replace(TAB_KEEPER, "");
    if (clean === text) return;
    event.clipboardData.setData("text/plain", clean);
    event.preventDefault();
  });

  return { write };
})();
