"use strict";

// The state of the page, and its messages.

const byId = (id) => document.getElementById(id);
const state = {
  model: null,          // what /v1/model says
  height: 0, width: 0,  // of the grid
  tokens: null,         // Uint16Array, row by row
  original: null,       // the tokens of the photo or the link
  input: null,          // ImageData of the photo as the model saw it
  picture: null,        // ImageData that the tokens stand for
  past: [], future: [], // moments before and after, for undo and redo
  tool: "look", size: 1,
  brush: null,          // a code
  at: null,             // the token under the pointer or the cursor: its index
  pinned: null,         // the token that is shown while the pointer is elsewhere
  code: null,           // the code that is shown: of that token, or of the palette
  second: null,         // tokens of the second picture
  before: null,         // tokens with which they are mixed
  share: 0,             // of the second picture's tokens, from 0 to 1
  order: "scattered",   // in which they come in
};
const patches = new Map();  // code → ImageData of 8×8 pixels
const number = new Intl.NumberFormat("en");

function say(text, isWrong = false) {
  const status = byId("status");
  status.textContent = text;
  status.classList.toggle("wrong", isWrong);
  clearTimeout(say.timer);
  if (text) say.timer = setTimeout(() => say(""), isWrong ? 12000 : 4000);
}

let running = 0;
async function busy(work) {
  running += 1;
  document.body.classList.add("busy");
  try {
    return await work();
  } catch (error) {
    say(error.message, true);
  } finally {
    running -= 1;
    if (running === 0) document.body.classList.remove("busy");
  }
}

