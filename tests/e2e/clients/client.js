// Node: https.get with its default agent.
const https = require("https");
const [url, mode] = process.argv.slice(2);
let done = 0;
function again() { setTimeout(ask, mode === "count" ? 100 : 500); }
function ask() {
  https.get(url, { agent: false, timeout: 60000 }, (answer) => {
    answer.resume();
    answer.on("end", () => {
      done += 1;
      if (mode !== "count" || done % 50 === 1) console.log("ok", done);
      if (mode === "count") again(); else process.exit(0);
    });
  }).on("error", (error) => {
    console.log("FAIL", error.code || error.message);
    if (mode === "once") process.exit(1);
    again();
  });
}
ask();
