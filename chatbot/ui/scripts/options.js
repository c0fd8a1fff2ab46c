// The controls beside the prompt: model, thinking, web search, and how the model answers. What holds
// comes with each conversation, in `data-options` of the status line; a change is saved at once.
window.chatbot.options = (() => {
  const { ask, say } = window.chatbot.page;
  const find = (id) => document.getElementById(id);
  // What the server has said last, and changes that it has not confirmed yet.
  let confirmed = null;
  let pending = [];
  let drawn = "";
  // A frame that was drawn before the last change still has the old options.
  let stale = "";
  let saving = Promise.resolve();
  const now = () => pending
    .filter(({ session }) => session === window.chatbot.opened())
    .reduce((all, { changes }) => ({ ...all, ...changes }), confirmed);

  const fill = (select, pairs, chosen) => {
    const key = JSON.stringify(pairs);
    if (select.dataset.key !== key) {
      select.dataset.key = key;
      select.replaceChildren(...pairs.map(([value, label]) => new Option(label, value)));
    }
    select.value = chosen;
  };

  const draw = () => {
    const model = find("model-choice"), thinking = find("thinking-choice"), search = find("search-choice");
    if (!confirmed || !model) return;
    const shown = now();
    const choice = shown.choices.find((one) => one.name === shown.model) ?? shown.choices[0];
    fill(model, shown.choices.map(({ name, label }) => [name, label]), shown.model);
    fill(thinking, choice.thinking.map((one) => [one, say(`thinking_${one}`)]), shown.thinking);
    search.setAttribute("aria-pressed", String(shown.search));
    model.closest(".option").hidden = shown.choices.length < 2;
    thinking.closest(".option").hidden = choice.thinking.length < 2;
    thinking.closest(".option").toggleAttribute("data-on", shown.thinking !== "off");
    search.hidden = !choice.search;
    window.chatbot.files?.allow(choice.inputs);
  };

  // Of the session that is shown: two sessions may have the same options.
  const told = () => {
    const { session, options } = window.chatbot.status();
    return options ? `${session} ${options}` : "";
  };

  window.chatbot.watch(() => {
    const current = told(), bar = find("model-choice");
    if (settingsOf && settingsOf !== window.chatbot.opened()) close();
    if (!current || !bar || (current === drawn && bar.dataset.key)) return;
    if (current !== stale) {
      confirmed = JSON.parse(window.chatbot.status().options);
      stale = "";
    }
    drawn = current;
    draw();
  });

  const change = (changes) => {
    const session = window.chatbot.opened();
    if (!session || !confirmed) return;
    const one = { session, changes };
    pending.push(one);
    draw();
    saving = saving.then(async () => {
      const answer = await ask("options", { session, changes });
      pending = pending.filter((other) => other !== one);
      if (answer.problem) window.chatbot.told(answer.problem);
      if (session !== window.chatbot.opened()) return;
      if (!answer.problem) {
        confirmed = answer.options;
        stale = drawn = told();
      }
      draw();
    });
  };

  document.addEventListener("change", (event) => {
    if (event.target.id === "model-choice") change({ model: event.target.value });
    if (event.target.id === "thinking-choice") change({ thinking: event.target.value });
  });

  // The session whose settings are open.
  let settingsOf = "";
  const close = () => {
    settingsOf = "";
    find("parameters")?.close();
  };
  const field = (form, name) => form.elements[name];
  const open = () => {
    const form = find("parameters-form");
    if (!confirmed || !form) return;
    const shown = now();
    settingsOf = window.chatbot.opened();
    const or = (value) => (value === null || value === undefined ? "" : value);
    field(form, "temperature").value = or(shown.temperature);
    field(form, "temperature").max = shown.max_temperature;
    field(form, "top_p").value = or(shown.top_p);
    field(form, "max_tokens").value = shown.max_tokens === shown.most_tokens ? "" : shown.max_tokens;
    field(form, "max_tokens").max = shown.most_tokens;
    field(form, "max_tokens").placeholder = shown.most_tokens;
    field(form, "instructions").value = shown.instructions;
    field(form, "instructions").maxLength = shown.max_instructions;
    field(form, "instructions").closest("label").hidden = !shown.max_instructions;
    find("parameters").showModal();
  };
  const number = (text) => (text.trim() === "" ? null : Number(text));

  document.addEventListener("click", (event) => {
    const id = event.target.closest?.("button")?.id;
    if (id === "search-choice") change({ search: !now()?.search });
    if (id === "parameters-open") open();
    if (id === "parameters-close") close();
    if (id === "parameters-reset") {
      change({ temperature: null, top_p: null, max_tokens: null, instructions: "" });
      close();
    }
  });
  document.addEventListener("submit", (event) => {
    if (event.target.id !== "parameters-form") return;
    event.preventDefault();
    const form = event.target;
    change({
      temperature: number(field(form, "temperature").value),
      top_p: number(field(form, "top_p").value),
      max_tokens: number(field(form, "max_tokens").value),
      instructions: field(form, "instructions").value,
    });
    close();
  });
  // Escape closes it, too.
  document.addEventListener("close", (event) => {
    if (event.target.id === "parameters") settingsOf = "";
  }, true);

  return {
    // Until what was chosen is stored: a question asked right after must not overtake it.
    saved: () => saving,
  };
})();
