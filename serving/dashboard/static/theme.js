// Before anything is drawn, so that a light page never flashes dark.
document.documentElement.dataset.theme =
  localStorage.getItem("tickhouse-theme") || (matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark");
