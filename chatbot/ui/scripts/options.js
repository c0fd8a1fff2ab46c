// The controls beside the prompt: model, thinking, web search, and how the model answers. What holds
// comes with each conversation, in `data-options` of the status line; a change is saved at once.
window.chatbot.options = (() => {
  const { ask, say } = window.chatbot.page;
  const find = (id) => document.getElementById(id);
  let now = null;
  let drawn = "";
  // A frame that was drawn before the last change still has the old options.
  let stale = "";
  let saving = Promise.resolve();

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
    if (!now || !model) return;
    const choice = now.choices.find((one) => one.name === now.model) ?? now.choices[0];
    fill(model, now.choices.map(({ name, label }) => [name, label]), now.model);
    fill(thinking, choice.thinking.map((one) => [one, say(`thinking_${one}`)]), now.thinking);
    search.setAttribute("aria-pressed", String(now.search));
    model.closest(".option").hidden = now.choices.length < 2;
    thinking.closest(".option").hidden = choice.thinking.length < 2;
    thinking.closest(".option").toggleAttribute("data-on", now.thinking !== "off");
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
    if (!current || !bar || (current === drawn && bar.dataset.key)) return;
    if (current !== stale) now = JSON.parse(window.chatbot.status().options);
    drawn = current;
    draw();
  });

  const change = (changes) => {
    const session = window.chatbot.opened();
    const before = now;
    if (!session || !now) return;
    now = { ...now, ...changes };
    draw();
    saving = saving.then(async () => {
      const answer = await ask("options", { session, changes });
      if (session !== window.chatbot.opened()) return;
      if (answer.problem) {
        now = before;
        window.chatbot.told(answer.problem);
      } else {
        now = answer.options;
        stale = drawn = told();
      }
      draw();
    });
  };

  document.addEventListener("change", (event) => {
    if (event.target.id === "model-choice") change({ model: event.target.value });
    if (event.target.id === "thinking-choice") change({ thinking: event.target.value });
  });

  const field = (form, name) => form.elements[name];
  const open = () => {
    const form = find("parameters-form");
    if (!now || !form) return;
    const or = (value) => (value === null || value === undefined ? "" : value);
    field(form, "temperature").value = or(now.temperature);
    field(form, "temperature").max = now.max_temperature;
    field(form, "top_p").value = or(now.top_p);
    field(form, "max_tokens").value = now.max_tokens === now.most_tokens ? "" : now.max_tokens;
    field(form, "max_tokens").max = now.most_tokens;
    field(form, "max_tokens").placeholder = now.most_tokens;
    field(form, "instructions").value = now.instructions;
    field(form, "instructions").maxLength = now.max_instructions;
    field(form, "instructions").closest("label").hidden = !now.max_instructions;
    find("parameters").showModal();
  };
  const number = (text) => (text.trim() === "" ? null : Number(text));

  document.addEventListener("click", (event) => {
    const id = event.target.closest?.("button")?.id;
    if (id === "search-choice") change({ search: !now?.search });
    if (id === "parameters-open") open();
    if (id === "parameters-close") find("parameters").close();
    if (id === "parameters-reset") {
      change({ temperature: null, top_p: null, max_tokens: null, instructions: "" });
      find("parameters").close();
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
    find("parameters").close();
  });

  return {
    // Until what was chosen is stored: a question asked right after must not overtake it.
    saved: () => saving,
  };
})();
