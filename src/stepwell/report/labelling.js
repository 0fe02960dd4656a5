(() => {
  "use strict";
  const inputs = [...document.querySelectorAll(".card input")];
  const count = document.getElementById("count");
  const cell = (text) => {
    const safe = /^[=+\-@]/.test(text) ? "'" + text : text; // as the command line writes them
    return /[",\r\n]/.test(safe) ? '"' + safe.replace(/"/g, '""') + '"' : safe;
  };
  const told = () => inputs.filter((input) => input.value.trim());
  const show = () => { count.textContent = `${told().length} of ${inputs.length} labelled`; };
  const options = document.getElementById("classes");
  inputs.forEach((input, place) => {
    input.addEventListener("input", show);
    input.addEventListener("change", () => {
      const value = input.value.trim();
      if (value && ![...options.options].some((option) => option.value === value)) {
        options.append(new Option(value, value));
      }
    });
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && inputs[place + 1]) inputs[place + 1].focus();
    });
  });
  document.getElementById("save").addEventListener("click", () => {
    const known = [...document.querySelectorAll(".known")].map((row) => [row.dataset.file, row.dataset.label]);
    const rows = [["file", "label"], ...known, ...inputs.map((input) => [input.dataset.file, input.value.trim()])];
    const text = rows.map(([file, label]) => `${cell(file)},${cell(label)}\r\n`).join("");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
    link.download = "labels.csv";
    link.click();
  });
  show();
})();
