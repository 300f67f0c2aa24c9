import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SleepSignalReader } from "./logind-signals.ts";

// What the tools of Debian 12 printed on a bus whose owner of org.freedesktop.login1 sent the signal with true and then with false.
const gdbus = `Monitoring signals on object /org/freedesktop/login1 owned by org.freedesktop.login1
The name org.freedesktop.login1 is owned by :1.4
/org/freedesktop/login1: org.freedesktop.login1.Manager.PrepareForSleep (true,)
/org/freedesktop/login1: org.freedesktop.login1.Manager.PrepareForSleep (false,)
The name org.freedesktop.login1 does not have an owner
`;
const dbusMonitor = `signal time=1795745479.900100 sender=org.freedesktop.DBus -> destination=:1.5 serial=4 path=/org/freedesktop/DBus; interface=org.freedesktop.DBus; member=NameLost
   string ":1.5"
signal time=1795745484.023060 sender=:1.4 -> destination=(null destination) serial=3 path=/org/freedesktop/login1; interface=org.freedesktop.login1.Manager; member=PrepareForSleep
   boolean true
signal time=1795745485.026145 sender=:1.4 -> destination=(null destination) serial=4 path=/org/freedesktop/login1; interface=org.freedesktop.login1.Manager; member=PrepareForSleep
   boolean false
`;

/** Cuts a text anywhere, as pipes do. */
const cuts = (text: string) =>
  fc.array(fc.nat(text.length), { maxLength: 12 }).map((at) => {
    const places = [0, ...at.toSorted((a, b) => a - b), text.length];
    return places.slice(1).map((end, index) => text.slice(places[index], end));
  });

function readAll(pieces: readonly string[]): readonly boolean[] {
  const reader = new SleepSignalReader();
  return pieces.flatMap((piece) => reader.read(piece));
}

describe("what the tools print of logind's signal", () => {
  it.each([
    ["gdbus monitor", gdbus],
    ["dbus-monitor", dbusMonitor],
    ["dbus-monitor, with its last line feed still to come", dbusMonitor.trimEnd()],
  ])("%s: is read however it is cut", (_, text) => {
    expect(readAll([text])).toEqual([true, false]);
    fc.assert(
      fc.property(cuts(text), (pieces) => {
        expect(readAll(pieces)).toEqual([true, false]);
      }),
    );
  });

  it("other signals and other booleans are none", () => {
    const shutdown = "/org/freedesktop/login1: org.freedesktop.login1.Manager.PrepareForShutdown (true,)\n";
    const other = dbusMonitor.replaceAll("PrepareForSleep", "PrepareForShutdown");
    expect(readAll([shutdown, other, "   boolean true\n", "x".repeat(1_000_000)])).toEqual([]);
  });
});
