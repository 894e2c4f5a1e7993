// Events of the pointer, the keyboard and the buttons.

let wanted = open;
function choose(action) {
  wanted = action;
  byId("file").value = "";
  byId("file").click();
}
byId("file").addEventListener("change", (event) => {
  if (event.target.files[0]) wanted(event.target.files[0]);
});
byId("choose").addEventListener("click", () => choose(open));
byId("mix-choose").addEventListener("click", () => choose(openSecond));
byId("again").addEventListener("click", () => {
  document.body.classList.remove("working");
  byId("start").hidden = false;
  byId("work").hidden = true;
  byId("facts").hidden = true;
  history.replaceState(null, "", location.pathname);
  say("");
  byId("choose").focus();
});
for (const [name, action] of [["example", open], ["mix", openSecond]]) {
  for (const button of document.querySelectorAll(`[data-${name}]`)) {
    button.addEventListener("click", () => busy(async () =>
      action(await (await ask(button.dataset[name], null, "image/jpeg")).blob())));
  }
}

addEventListener("dragover", (event) => {
  event.preventDefault();
  event.dataTransfer.dropEffect = "copy";
  document.body.classList.add("dropping");
});
addEventListener("dragleave", (event) => {
  if (event.relatedTarget === null) document.body.classList.remove("dropping");
});
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  const file = event.dataTransfer.files[0];
  if (file) open(file); else say("That was not a file.", true);
});
addEventListener("paste", (event) => {
  const file = event.clipboardData.files[0];
  if (file) open(file);
});

function tokenAt(view, event) {
  const box = view.getBoundingClientRect();
  const column = Math.floor((event.clientX - box.left) / box.width * state.width);
  const row = Math.floor((event.clientY - box.top) / box.height * state.height);
  const isInside = row >= 0 && column >= 0 && row < state.height && column < state.width;
  return isInside ? row * state.width + column : null;
}
for (const view of document.querySelectorAll("[data-view]")) {
  view.addEventListener("pointerdown", (event) => {
    const at = tokenAt(view, event);
    if (at === null || event.button !== 0) return;
    state.pinned = at;
    show(at);
    if (event.altKey) return take(state.tokens[at]);
    if (state.tool !== "paint") return;
    view.setPointerCapture(event.pointerId);
    paintAt(at);
  });
  view.addEventListener("pointermove", (event) => {
    const at = tokenAt(view, event);
    if (at !== null) show(at);
    if (stroke !== null && at !== null) paintAt(at);
  });
  view.addEventListener("pointerup", endStroke);
  view.addEventListener("pointercancel", endStroke);
  view.addEventListener("pointerleave", (event) => {
    if (event.pointerType === "mouse" && stroke === null) show(state.pinned);
  });
}

byId("grid").addEventListener("focus", () => { if (state.at === null) show(0); });
byId("grid").addEventListener("keydown", (event) => {
  const at = state.at ?? 0, column = at % state.width, row = Math.floor(at / state.width);
  const steps = {
    ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0],
    Home: [0, -column], End: [0, state.width - 1 - column], PageUp: [-8, 0], PageDown: [8, 0],
  };
  if (steps[event.key]) {
    const [down, right] = steps[event.key];
    const y = Math.min(Math.max(row + down, 0), state.height - 1);
    const x = Math.min(Math.max(column + right, 0), state.width - 1);
    state.pinned = y * state.width + x;
    show(state.pinned);
  } else if (event.key === "Enter" || event.key === " ") {
    paintAt(at);
    endStroke();
  } else if (event.key.toLowerCase() === "p" && !event.ctrlKey && !event.metaKey) {
    take(state.tokens[at]);
  } else {
    return;
  }
  event.preventDefault();
});

const codes = byId("codes");
codes.addEventListener("scroll", () => palette.draw());
codes.addEventListener("focus", () => palette.draw());
codes.addEventListener("blur", () => palette.draw());
codes.addEventListener("pointermove", (event) => {
  const code = palette.codeAt(event);
  show(null, code === undefined ? null : code);
});
codes.addEventListener("pointerleave", () => show(state.pinned));
codes.addEventListener("click", (event) => {
  const code = palette.codeAt(event);
  if (code === undefined) return;
  palette.cursor = palette.codes.indexOf(code);
  take(code);
  palette.draw();
});
codes.addEventListener("keydown", (event) => {
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -palette.columns, ArrowDown: palette.columns };
  if (event.key === "Enter" || event.key === " ") {
    if (palette.codes[palette.cursor] !== undefined) take(palette.codes[palette.cursor]);
  } else if (steps[event.key]) {
    palette.cursor = Math.min(Math.max(palette.cursor + steps[event.key], 0), palette.codes.length - 1);
    const top = Math.floor(palette.cursor / palette.columns) * palette.size;
    if (top < codes.scrollTop) codes.scrollTop = top;
    if (top + palette.size > codes.scrollTop + codes.clientHeight) codes.scrollTop = top + palette.size - codes.clientHeight;
    show(null, palette.codes[palette.cursor]);
  } else {
    return;
  }
  palette.draw();
  event.preventDefault();
});
byId("used").addEventListener("click", () => palette.select(false));
byId("all").addEventListener("click", () => palette.select(true));
byId("number").addEventListener("change", (event) => busy(async () => {
  const code = Number(event.target.value);
  const vocabulary = state.model.architecture.vocab_size;
  if (event.target.value === "" || !Number.isInteger(code) || code < 0 || code >= vocabulary) {
    throw new Error(`Codes are numbers from 0 to ${vocabulary - 1}.`);
  }
  await fetchPatches([code]);
  take(code);
  show(null, code);
}));

byId("pick").addEventListener("click", () => take(state.code));
byId("look").addEventListener("click", () => use("look"));
byId("paint").addEventListener("click", () => use("paint"));
for (const button of document.querySelectorAll("[data-size]")) {
  button.addEventListener("click", () => {
    state.size = Number(button.dataset.size);
    for (const other of document.querySelectorAll("[data-size]")) other.setAttribute("aria-pressed", other === button);
  });
}
byId("undo").addEventListener("click", undo);
byId("redo").addEventListener("click", redo);
byId("reset").addEventListener("click", startOver);
addEventListener("keydown", (event) => {
  if (!(event.ctrlKey || event.metaKey) || state.tokens === null) return;
  if (event.target instanceof HTMLInputElement && event.target.type === "number") return;
  const key = event.key.toLowerCase();
  if (key === "z") event.shiftKey ? redo() : undo();
  else if (key === "y") redo();
  else return;
  event.preventDefault();
});

byId("share").addEventListener("input", (event) => mix(Number(event.target.value) / 100));
byId("share").addEventListener("change", endMix);
for (const order of ["scattered", "swept"]) {
  byId(order).addEventListener("click", () => {
    mix(state.share, order);
    endMix();
  });
}

byId("copy").addEventListener("click", () => copy(json(), "The tokens are in the clipboard."));
byId("share-link").addEventListener("click", () => {
  history.replaceState(null, "", fragment());
  copy(location.href, "The link is in the clipboard.");
});
byId("save-npy").addEventListener("click", () =>
  save(npy(state.tokens, state.height, state.width), "tokens.npy", "application/x-npy"));
byId("save-json").addEventListener("click", () => save(json(), "tokens.json", "application/json"));
byId("save-png").addEventListener("click", () => byId("picture").toBlob((blob) => save(blob, "picture.png", "image/png")));

addEventListener("resize", () => {
  if (state.tokens === null) return;
  drawMarks();
  palette.draw();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (state.tokens) drawMarks(); });
addEventListener("hashchange", () => { if (state.model) readFragment(); });

busy(async () => {
  state.model = await (await ask("/v1/model", null, "application/json")).json();
  const { weights, architecture, engine, grid, version } = state.model;
  const count = grid[0] * grid[1];
  byId("title").textContent = `A picture in ${number.format(count)} words`;
  byId("lead").textContent = `The model writes a photo as a grid of ${grid[0]} × ${grid[1]} tokens, each one of `
    + `${number.format(architecture.vocab_size)}, and paints it again from these numbers alone. `
    + "Change a token and see what it does.";
  byId("model").textContent = `Model ${weights.file.replace(/\.[a-z]+$/, "")}, ${engine}, dvae ${version}`;
  byId("number").max = architecture.vocab_size - 1;
  readFragment();
});
