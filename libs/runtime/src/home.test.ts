import { expect, it } from "vitest";
import { dataPaths, defaultDataDir } from "./index.ts";

it.each([
  [{ HEADROOM_DATA_DIR: "/data" }, "linux", true, "/data"],
  [{ HOME: "/root" }, "linux", true, "/var/lib/headroom"],
  [{ HOME: "/home/a" }, "linux", false, "/home/a/.local/share/headroom"],
  [{ HOME: "/home/a", HEADROOM_DATA_DIR: " " }, "linux", false, "/home/a/.local/share/headroom"],
  [{ HOME: "/home/a", XDG_DATA_HOME: "/x" }, "linux", false, "/x/headroom"],
  [{ HOME: "/home/a", XDG_DATA_HOME: "relative" }, "linux", false, "/home/a/.local/share/headroom"],
  [{ HOME: "/Users/a" }, "darwin", true, "/Users/a/Library/Application Support/Headroom"],
  [{ LOCALAPPDATA: "C:\\Users\\a\\AppData\\Local" }, "win32", false, "C:\\Users\\a\\AppData\\Local\\Headroom"],
  [{ USERPROFILE: "C:\\Users\\a" }, "win32", false, "C:\\Users\\a\\AppData\\Local\\Headroom"],
] as const)("the data folder for %j on %s (root: %s) is %s", (env, platform, isRoot, expected) => {
  expect(defaultDataDir(env, platform, isRoot)).toBe(expected);
});

it("a relative HEADROOM_DATA_DIR is made absolute", () => {
  expect(defaultDataDir({ HEADROOM_DATA_DIR: "d" }, "linux", false)).toBe(`${process.cwd()}/d`);
});

it("everything lies under the data folder", () => {
  expect(dataPaths("/d", "linux")).toEqual({
    dataDir: "/d",
    postgresDir: "/d/postgres",
    logsDir: "/d/logs",
    tokenFile: "/d/token",
    agentDir: "/d/agent",
    runDir: "/d/run",
  });
});
