// What the address says: where to go on to, and whether the last token was wrong.
const said = new URLSearchParams(location.search);
document.getElementById("next").value = said.get("next") || "";
document.getElementById("wrong").hidden = !said.has("wrong");
