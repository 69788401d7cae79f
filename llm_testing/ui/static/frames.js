// Gradio 6.31 never stops the clock of its loading screen: a callback on every frame for as long as the page is open,
// which took a CPU that trains 8 % of a core. That clock ticks once a second here; other callbacks are untouched.

const nextFrame = window.requestAnimationFrame.bind(window);
window.requestAnimationFrame = (callback) =>
  (new Error().stack.includes("/statustracker-") ? setTimeout(() => callback(performance.now()), 1000) : nextFrame(callback));
