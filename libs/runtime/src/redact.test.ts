import { expect, it } from "vitest";
import { redactFields, redactText } from "./index.ts";

it("hides secret fields at any depth and in any spelling", () => {
  const safe = redactFields({
    authorization: "a",
    headers: { Authorization: ["Bearer b"], "x-other": "seen" },
    deep: { er: { local_token: "c", accessToken: "d", list: [{ token: "e" }] } },
    task: { env: { AWS_SECRET: "f" }, argv: ["run"] },
    map: new Map([["authorization", "g"]]),
    token: undefined,
  });
  expect(JSON.stringify(safe)).toBe(
    JSON.stringify({
      authorization: "[redacted]",
      headers: { Authorization: "[redacted]", "x-other": "seen" },
      deep: { er: { local_token: "[redacted]", accessToken: "[redacted]", list: [{ token: "[redacted]" }] } },
      task: { env: "[redacted]", argv: ["run"] },
      map: { authorization: "[redacted]" },
    }),
  );
});

it("leaves out what PostgreSQL quotes of the data", () => {
  const error = Object.assign(new Error("invalid input"), {
    code: "22P05",
    detail: "Key (x)=(hush)",
    where: "JSON data: hush",
  });
  const logged = JSON.stringify(redactFields({ err: error }));
  expect(logged).toContain("22P05");
  expect(logged).not.toContain("hush");
});

it("spells errors out, with their causes and codes, and hides in them too", () => {
  const error = Object.assign(new Error("no", { cause: new TypeError("why") }), { code: "E1", config: { token: "x" } });
  expect(redactFields({ err: error })).toMatchObject({
    err: {
      type: "Error",
      message: "no",
      stack: expect.stringContaining("redact.test"),
      code: "E1",
      cause: { type: "TypeError", message: "why" },
      config: { token: "[redacted]" },
    },
  });
  expect(redactFields({ err: new AggregateError([new Error("a")], "two") })).toMatchObject({
    err: { errors: [{ message: "a" }] },
  });
});

it("survives whatever it is given, and bounds it", () => {
  const loop: Record<string, unknown> = {
    big: 10n,
    not: Number.NaN,
    when: new Date(0),
    bytes: new Uint8Array(3),
    fn: () => 1,
    set: new Set([1]),
  };
  loop["self"] = loop;
  expect(redactFields(loop)).toEqual({
    big: "10",
    not: "NaN",
    when: "1970-01-01T00:00:00.000Z",
    bytes: "[3 bytes]",
    fn: "[function]",
    set: [1],
    self: "[circular]",
  });
  let deep: object = {};
  for (let level = 0; level < 1_000; level += 1) deep = { deep };
  const large = redactFields({
    deep,
    many: Array.from({ length: 5_000 }, () => "x"),
    long: "y".repeat(1_000_000),
    keys: Object.fromEntries(Array.from({ length: 5_000 }, (_, key) => [`k${key}`, key])),
  });
  expect(JSON.stringify(large).length).toBeLessThan(25_000);
  expect(
    redactFields({
      get trap(): never {
        throw new Error("trap");
      },
    }),
  ).toEqual({ unloggable: "Error: trap" });
});

it("hides passwords and tokens inside texts", () => {
  expect(redactText("cannot reach postgres://me:p@ss@db:5432/headroom now")).toBe(
    "cannot reach postgres://me:[redacted]@db:5432/headroom now",
  );
  expect(redactText("Authorization: Bearer abc.def-1")).toBe("Authorization: Bearer [redacted]");
  expect(redactText("Bearer p#ss!w$rd,all:of;it% was shown")).toBe("Bearer [redacted] was shown");
  expect(redactText("Bearer $(cat /data/token)")).toBe("Bearer $(cat /data/token)");
  for (const token of ['quo"ted#rest', "back\\slash#rest", 'both\\"#rest']) {
    const line = JSON.stringify({ msg: `Bearer ${token}\nand more` });
    expect(JSON.parse(redactText(line))).toEqual({ msg: "Bearer [redacted]\nand more" });
  }
  expect(redactText("host=h password=x dbname=d")).toBe("host=h password=[redacted] dbname=d");
  expect(redactText("http://127.0.0.1:7402/healthz")).toBe("http://127.0.0.1:7402/healthz");
});

it("looks for the scheme of a URL without trying each letter of a long text", () => {
  const begunMs = performance.now();
  const text = `${"a".repeat(100_000)}://user:`;
  expect(redactText(`${text}secret@host`)).toBe(`${text}[redacted]@host`);
  expect(redactText(text)).toBe(text);
  expect(redactText(`:// ${"a".repeat(100_000)}`)).toHaveLength(100_004);
  expect(performance.now() - begunMs).toBeLessThan(1_000);
});
