// Changes of tokens: painting, undo, redo, and the tools.

// Replaces the tokens and remembers what they were.
function change(tokens) {
  state.past.push(state.tokens);
  if (state.past.length > 300) state.past.shift();
  state.future = [];
  replace(tokens);
}

function replace(tokens) {
  state.tokens = tokens;
  if (state.at !== null) state.code = tokens[state.at];
  fetchPatches(tokens).then(() => { drawTokens(); palette.refresh(); drawToken(); }, (error) => say(error.message, true));
  drawFacts();
  drawToken();
  return decode();
}

function undo() {
  if (state.past.length === 0) return;
  state.future.push(state.tokens);
  replace(state.past.pop());
}

function redo() {
  if (state.future.length === 0) return;
  state.past.push(state.tokens);
  replace(state.future.pop());
}

// Paints at a token; a stroke is one step for undo.
let stroke = null;
function paintAt(index) {
  if (state.brush === null) return say("Choose a code first: pick one from the picture or the palette.", true);
  if (stroke === null) {
    stroke = state.tokens;
    state.tokens = Uint16Array.from(stroke);
  }
  const row = Math.floor(index / state.width), column = index % state.width;
  let changed = false;
  for (let y = row; y < Math.min(row + state.size, state.height); y += 1) {
    for (let x = column; x < Math.min(column + state.size, state.width); x += 1) {
      const place = y * state.width + x;
      changed ||= state.tokens[place] !== state.brush;
      state.tokens[place] = state.brush;
    }
  }
  if (!changed) return;
  state.code = state.tokens[index];
  drawTokens();
  drawFacts();
  drawToken();
  decode();
}

function endStroke() {
  if (stroke === null) return;
  const before = stroke;
  stroke = null;
  if (state.tokens.every((code, index) => code === before[index])) return;
  state.past.push(before);
  state.future = [];
  drawFacts();
  palette.refresh();
}

function take(code) {
  state.brush = code;
  const context = byId("brush").getContext("2d");
  if (patches.has(code)) context.putImageData(patches.get(code), 0, 0);
  byId("brush-name").textContent = `code ${code}`;
  use("paint");
  say("");
}

function use(tool) {
  state.tool = tool;
  document.body.classList.toggle("painting", tool === "paint");
  byId("look").setAttribute("aria-pressed", tool === "look");
  byId("paint").setAttribute("aria-pressed", tool === "paint");
  drawMarks();
}

