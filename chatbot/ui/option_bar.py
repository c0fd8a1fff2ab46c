"""The controls beside the prompt, as plain HTML: `scripts/options.js` and `scripts/files.js` fill
them in and handle them. Like all labels they are in the browser's language."""

from chatbot.ui.texts import LABELS, PHRASES, Language

BAR = """
<dialog id="parameters" aria-labelledby="parameters-title">
  <form id="parameters-form" method="dialog">
    <h2 id="parameters-title">{parameters}</h2>
    <p>{parameters_hint}</p>
    <label>{temperature}<input name="temperature" type="number" min="0" max="2" step="any"
      inputmode="decimal"></label>
    <label>{top_p}<input name="top_p" type="number" min="0" max="1" step="any"
      inputmode="decimal"></label>
    <label>{longest_reply}<input name="max_tokens" type="number" min="1" step="1"
      inputmode="numeric"></label>
    <label>{instructions}<textarea name="instructions" rows="4" dir="auto"></textarea></label>
    <div class="choice">
      <button type="button" id="parameters-reset">{reset}</button>
      <button type="button" id="parameters-close">{cancel}</button>
      <button type="submit" class="primary">{save}</button>
    </div>
  </form>
</dialog>
<div class="options" role="group" aria-label="{options_label}">
  <button type="button" id="file-add" hidden aria-label="{file_add}" title="{file_add}"></button>
  <input type="file" id="file-input" multiple hidden aria-hidden="true" tabindex="-1">
  <label class="option" hidden title="{model_choice}">
    <span class="spoken">{model_choice}</span><select id="model-choice"></select>
  </label>
  <label class="option thinking" hidden title="{thinking_choice}">
    <span>{thinking_choice}</span><select id="thinking-choice"></select>
  </label>
  <button type="button" id="search-choice" hidden aria-pressed="false">
    <span>{search_choice}</span>
  </button>
  <button type="button" id="parameters-open" aria-label="{parameters}"
    title="{parameters}"></button>
</div>
"""
KEYS = (
    "options_label", "file_add", "model_choice", "thinking_choice", "search_choice", "parameters",
    "parameters_hint", "temperature", "top_p", "longest_reply", "instructions", "reset", "cancel",
    "save",
)  # fmt: skip


def option_bar(language: Language) -> str:
    """The HTML of the controls in this language."""
    both = {key: LABELS.get(key) or PHRASES[key] for key in KEYS}
    return BAR.format_map({key: pair[language == "zh"] for key, pair in both.items()})
