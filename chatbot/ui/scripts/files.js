// Pictures and PDF files of the next question: chosen, pasted or dropped, shown above the prompt, and
// removed again.
window.chatbot.files = (() => {
  let inputs = [];
  return {
    // What the chosen model reads besides text.
    allow: (kinds) => {
      inputs = kinds;
      const add = document.getElementById("file-add");
      if (add) add.hidden = !inputs.length;
    },
    // The ids of the files to send, separated by blanks.
    taken: () => "",
    // The question is stored, with its files.
    sent: () => {},
  };
})();
