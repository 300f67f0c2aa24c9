// node silent.mjs HOST PORT COUNT SAYS: opens connections, says at most SAYS (hex) on each, and holds them. Writes one line of JSON for each
// line that it is sent: how many are open. Ends with its stdin.
import { connect } from "node:net";
import { createInterface } from "node:readline";

const [host, port, count, says = ""] = process.argv.slice(2);
const first = Buffer.from(says, "hex");
const atOnce = 200;
let [opened, open, refused] = [0, 0, 0];

function one() {
  return new Promise((resolve) => {
    const socket = connect({ host, port: Number(port) });
    socket.once("connect", () => {
      opened += 1;
      open += 1;
      if (first.length > 0) socket.write(first);
      socket.once("close", () => (open -= 1));
      resolve();
    });
    socket.on("error", () => {
      if (socket.connecting || !socket.readyState.startsWith("o")) refused += 1;
      resolve();
    });
    // What the server says is read and dropped, so that its end is noticed.
    socket.resume();
  });
}

for (let done = 0; done < Number(count); done += atOnce) {
  await Promise.all(Array.from({ length: Math.min(atOnce, Number(count) - done) }, one));
}
const tell = () => process.stdout.write(`${JSON.stringify({ opened, open, refused })}\n`);
tell();
const lines = createInterface({ input: process.stdin });
lines.on("line", tell);
lines.on("close", () => process.exit(0));
