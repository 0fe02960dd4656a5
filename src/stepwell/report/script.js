"use strict";
// The page reads without this: it only adds the toggle, copy buttons and the map's tooltips.
(() => {
  const root = document.documentElement;

  function theme() {
    const button = document.querySelector(".toggle");
    const wish = matchMedia("(prefers-color-scheme: dark)");
    const keep = (value) => { try { localStorage.setItem("stepwell-theme", value); } catch { /* private window */ } };
    try {
      const kept = localStorage.getItem("stepwell-theme");
      if (kept === "light" || kept === "dark") root.dataset.theme = kept;
    } catch { /* private window */ }
    button.hidden = false;
    button.addEventListener("click", () => {
      const now = root.dataset.theme || (wish.matches ? "dark" : "light");
      root.dataset.theme = now === "dark" ? "light" : "dark";
      keep(root.dataset.theme);
    });
  }

  function select(element) {
    const range = document.createRange();
    range.selectNodeContents(element);
    const selection = getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
  }

  function copying() {
    for (const box of document.querySelectorAll(".copyable")) {
      const button = document.createElement("button");
      const source = box.firstElementChild;
      button.type = "button";
      button.className = "copy";
      button.textContent = "Copy";
      button.addEventListener("click", async () => {
        // Pages opened from a disk may have no clipboard: then the text is at least selected.
        try { await navigator.clipboard.writeText(source.textContent); button.textContent = "Copied"; }
        catch { select(source); button.textContent = document.execCommand("copy") ? "Copied" : "Selected"; }
        setTimeout(() => { button.textContent = "Copy"; }, 1600);
      });
      box.append(button);
    }
  }

  function map() {
    const box = document.querySelector(".map");
    if (!box) return;
    const index = JSON.parse(document.getElementById("map-index").textContent);
    const ring = box.querySelector(".here");
    const tip = box.querySelector(".tip");
    let current = -1;

    function picture(number) {
      if (number < 0) return "";
      if (number >= index.first) return index.extra[number - index.first];
      const found = document.querySelector(`[data-picture="${number}"] > :is(img, svg, span)`);
      return found ? found.outerHTML : "";
    }

    function show(i) {
      if (i < 0 || i === current) return;
      current = i;
      const x = index.x[i] * box.clientWidth;
      const y = index.y[i] * box.clientHeight;
      ring.style.left = `${x}px`;
      ring.style.top = `${y}px`;
      tip.querySelector(".tip-picture").innerHTML = picture(index.picture[i]);
      tip.querySelector(".tip-label").textContent = (index.label && index.label[i]) || "";
      tip.querySelector(".tip-id").textContent = index.ids[i];
      ring.hidden = tip.hidden = false;
      // Beside the point, on the side that has room, and never outside the map.
      const right = x + 18 + tip.offsetWidth < box.clientWidth;
      const left = right ? x + 18 : Math.max(4, x - 18 - tip.offsetWidth);
      const top = Math.min(Math.max(4, y - tip.offsetHeight / 2), box.clientHeight - tip.offsetHeight - 4);
      tip.style.transform = `translate(${left}px, ${top}px)`;
    }

    function hide() { current = -1; ring.hidden = tip.hidden = true; }

    function nearest(px, py, within, allowed) {
      let best = -1;
      let least = within * within;
      for (let i = 0; i < index.x.length; i += 1) {
        const dx = index.x[i] * box.clientWidth - px;
        const dy = index.y[i] * box.clientHeight - py;
        const far = dx * dx + dy * dy;
        if (far < least && (!allowed || allowed(i, dx, dy))) { least = far; best = i; }
      }
      return best;
    }

    function point(event) {
      const frame = box.getBoundingClientRect();
      const i = nearest(event.clientX - frame.left, event.clientY - frame.top, 40);
      if (i < 0) hide(); else show(i);
    }

    function step(event) {
      const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (event.key === "Escape") hide();
      if (!way) return;
      event.preventDefault();
      const [wx, wy] = way;
      const from = current < 0 ? [box.clientWidth / 2, box.clientHeight / 2]
        : [index.x[current] * box.clientWidth, index.y[current] * box.clientHeight];
      // Ahead means within 45 degrees of the arrow, and visibly further.
      const ahead = (i, dx, dy) => {
        const along = dx * wx + dy * wy;
        return i !== current && along > 4 && along >= Math.abs(dx * wy + dy * wx);
      };
      show(nearest(from[0], from[1], Infinity, current < 0 ? null : ahead));
    }

    box.addEventListener("pointermove", (event) => { if (event.pointerType === "mouse") point(event); });
    box.addEventListener("pointerdown", point);
    box.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") hide(); });
    box.addEventListener("blur", hide);
    box.addEventListener("keydown", step);
    addEventListener("resize", hide);
  }

  theme();
  copying();
  map();
})();
