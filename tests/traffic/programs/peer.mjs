// A TLS server that takes up a changed certificate, and a client that handshakes for ever, in Node.
import fs from "node:fs";
import path from "node:path";
import tls from "node:tls";

const [role, where, pace, ...targets] = process.argv.slice(2);
const BODY = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nok\n";
const PATIENCE = 60000, LOOPS = 4;

function serve() {
  let seen = "", context;
  const current = () => {
    const version = fs.realpathSync(path.join(where, "..data"));
    if (version !== seen) {
      const read = (name) => fs.readFileSync(path.join(version, name));
      context = tls.createSecureContext({cert: read("tls.crt"), key: read("tls.key")});
      seen = version;
    }
    return context;
  };
  const choose = (_name, done) => { try { done(null, current()); } catch (error) { done(error); } };
  const server = tls.createServer({SNICallback: choose}, (socket) => {
    socket.setTimeout(PATIENCE, () => socket.destroy());
    socket.on("error", () => {});
    socket.once("data", () => socket.end(BODY));
  });
  server.on("tlsClientError", () => {});
  server.listen(0, "127.0.0.1", () => console.log(server.address().port));
}

// What is read once is what Node itself reads: NODE_EXTRA_CA_CERTS. A bundle is read anew when its folder was swapped.
let trustSeen = "", trusted;
function trust() {
  const version = role === "once" ? "once" : fs.realpathSync(path.join(path.dirname(where), "..data"));
  if (version !== trustSeen) {
    const ca = role === "once" ? undefined : fs.readFileSync(path.join(version, path.basename(where)));
    trusted = tls.createSecureContext({ca});
    trustSeen = version;
  }
  return trusted;
}

function shake(turn) {
  const [servername, port] = targets[turn % targets.length].split(":");
  let said = false;
  const say = (line) => {
    if (!said) { said = true; console.log(line); socket.destroy(); setTimeout(shake, Number(pace), turn + 1); }
  };
  const options = {host: "127.0.0.1", port: Number(port), servername, secureContext: trust()};
  const socket = tls.connect(options, () => socket.write(`GET / HTTP/1.1\r\nHost: ${servername}\r\n\r\n`));
  socket.once("data", () => say(`ok ${servername}`));
  socket.on("error", (error) => say(`fail ${servername} ${error.code} ${error.message}`.replaceAll("\n", " ")));
  socket.on("close", () => say(`fail ${servername} closed without an answer`));
  socket.setTimeout(PATIENCE, () => socket.destroy(new Error("no answer in time")));
}

if (role === "server") serve(); else for (let first = 0; first < LOOPS; first++) shake(first);
