// Shows errors outside of Gradio's events in the corner; Gradio shows those of its events.
window.chatbot.told = (() => {
  let timer = 0;
  return (sentence, seconds = 8) => {
    let box = document.getElementById("notice");
    if (!box) {
      box = document.createElement("div");
      box.id = "notice";
      box.setAttribute("role", "alert");
      document.body.append(box);
    }
    box.textContent = sentence;
    clearTimeout(timer);
    timer = setTimeout(() => { box.textContent = ""; }, seconds * 1000);
  };
})();
